"""Two numbers that all processes of a pod see at the same moment: the epoch that answers, and whether the pod is behind.

One 8-byte store is the flip of a whole pod. A worker reads the word whenever it admits a request; so once any worker has
admitted one under the new epoch, none admits another under the old. Linux only.
"""

import mmap
import os

_EPOCH, _BEHIND = 0, 1


class Words:
    """Written by the supervisor, read by the workers."""

    def __init__(self, descriptor: int) -> None:
        """Over the memory that `descriptor` stands for, which is kept open."""
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, mmap.PAGESIZE)
        self.numbers = memoryview(self._memory).cast("Q")
        """As they lie in memory: aligned words of 8 bytes, which processors store and load in one piece."""

    @classmethod
    def create(cls) -> "Words":
        descriptor = os.memfd_create("podium-plan")
        os.ftruncate(descriptor, mmap.PAGESIZE)
        return cls(descriptor)

    @property
    def epoch(self) -> int:
        """0: nothing answers."""
        return self.numbers[_EPOCH]

    @epoch.setter
    def epoch(self, value: int) -> None:
        self.numbers[_EPOCH] = value

    @property
    def behind(self) -> bool:
        """A higher epoch is committed than the pod holds. Kept as the epoch that it is true of: else workers would count
        answers of the next one as late until its second word came."""
        return self.numbers[_BEHIND] == self.numbers[_EPOCH] != 0

    @behind.setter
    def behind(self, value: bool) -> None:
        self.numbers[_BEHIND] = self.numbers[_EPOCH] if value else 0

    def close(self) -> None:
        self.numbers.release()
        self._memory.close()
        os.close(self.descriptor)
