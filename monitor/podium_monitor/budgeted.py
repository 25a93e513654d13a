"""What is remembered within a budget of bytes: what nobody asked for longest is forgotten first."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Budgeted(Generic[K, V]):
    """For several threads."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def bytes(self) -> int:
        """Of all that is remembered."""
        return self._bytes

    def get(self, key: K) -> V | None:
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
            return found[0]

    def put(self, key: K, value: V, size: int) -> None:
        """In the place of what the key had. Bytes, about; what has more than there may be is not remembered at all."""
        with self._lock:
            if (old := self._kept.pop(key, None)) is not None:
                self._bytes -= old[1]
            if size <= self._most_bytes:
                self._kept[key] = (value, size)
                self._bytes += size
            self._forget()

    def limit(self, most_bytes: int) -> None:
        with self._lock:
            self._most_bytes = most_bytes
            self._forget()

    def _forget(self) -> None:
        while self._bytes > self._most_bytes:
            self._bytes -= self._kept.popitem(last=False)[1][1]
