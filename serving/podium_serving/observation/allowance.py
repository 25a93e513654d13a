"""So many per second and no more, and how many were left out. Pure: the time comes in."""


class Allowance:
    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._second = -1
        self._used = 0
        self._left_out = 0

    def take(self, now: float) -> bool:
        """Whether one more fits into the second of `now` (monotonic seconds)."""
        if int(now) != self._second:
            self._second, self._used = int(now), 0
        if self._used >= self._per_second:
            self._left_out += 1
            return False
        self._used += 1
        return True

    def left_out(self, now: float) -> int:
        """How many did not fit since it was last asked; 0 while the second in which they came lasts."""
        if not self._left_out or int(now) == self._second:
            return 0
        count, self._left_out = self._left_out, 0
        return count
