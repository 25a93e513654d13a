"""What the calls of the model repository need of those who can load models. A pod has no such thing: its plan rules."""

from typing import Protocol


class Repository(Protocol):
    """Models that can be brought into memory and taken out of it by name."""

    async def load(self, model: str) -> None:
        """Raises ServingError."""

    async def unload(self, model: str) -> None:
        """Raises ServingError."""
