"""The bounds that keep a challenger's trouble away from the champion. Defaults that nobody has needed to change."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TrafficLimits:
    max_forward_body_bytes: int = 1024 * 1024
    """A larger request stays with the champion: copying it to a socket would stall the champion's loop."""

    max_answer_bytes: int = 8 * 1024 * 1024
    """A challenger's answer. Reading stops there and the champion answers."""

    max_champion_answer_bytes: int = 256 * 1024 * 1024
    """The champion's answer from another pool."""

    max_in_flight: int = 64
    """Forwards per challenger at once. There is no queue: one more and the champion answers."""

    mirror_queue: int = 1024
    """Shadow requests per challenger that wait; more are shed."""

    mirror_queue_bytes: int = 16 * 1024 * 1024
    """Their columns together."""

    mirror_rows: int = 64
    """Shadow requests are joined up to so many rows. Fifty copies in one exchange cost 3 µs each; alone one costs 140."""

    mirror_linger_seconds: float = 0.005
    """A shadow waits so long for company: nobody waits for it."""

    mirror_in_flight: int = 4
    """Exchanges of shadows per challenger at once. Few, so that a slow shadow costs the champion's pod little."""

    mirror_apart_seconds: float = 1.0
    """A joined exchange that was refused is tried copy by copy once in so long: else a challenger that refuses everything
    would cost what joining saves, many times over."""

    close_seconds: float = 1.0
    """What is in flight when a plan is replaced or the pod drains is waited for so long."""
