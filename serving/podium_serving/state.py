"""What this process answers with. One attribute, replaced in one assignment: that assignment is the flip.

The HTTP lane reads `current` once per request, at admission, and keeps what it read until the request is answered. So a
request is answered by the plan that admitted it, and nothing in between. Written by `swap` only.
"""

from dataclasses import dataclass, field

from podium_serving.served import Serving


@dataclass(slots=True)
class ServingState:
    current: Serving | None = None
    draining: bool = False
    """SIGTERM came: keep accepting while endpoints update, answer `Connection: close`."""
    behind: bool = False
    """A higher committed epoch is known than `current` holds. The pod leaves the Service (not ready); what still arrives is
    a late answer, which `swap` bounds: after a grace it sets `current` to None."""
    locked: bool = False
    """The gate knows nobody yet, so that every request would be refused: not ready."""
    late_admissions: int = 0
    """Requests admitted while `behind`, counted by the HTTP lane; `swap` hands the number to the metrics and begins anew."""
    retired: list[Serving] = field(default_factory=list)
    """Flipped away from but with open requests; `swap` drops them when they are done."""

    @property
    def ready(self) -> bool:
        return self.current is not None and not self.draining and not self.behind and not self.locked
