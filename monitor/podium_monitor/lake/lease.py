"""Which of several collectors on one bucket keeps the lake in order: whoever created the file of the current window of time.

Only `create` is needed, so it works on every store. Clocks that differ let two work at once for the difference: that costs
work, never rows, because a file is deleted only by whoever made the one that replaced it.
"""

import secrets
from datetime import UTC, datetime

from podium_monitor.lake.store import Store

FOLDER = ".podium/maintenance"


class Lease:
    def __init__(self, store: Store, seconds: float) -> None:
        self._store = store
        self._seconds = seconds
        self._name = secrets.token_hex(8).encode()
        self._window = 0

    def hold(self) -> bool:
        """True: the current window is ours. Ask before each piece of work, which should take less than a window."""
        window = int(datetime.now(UTC).timestamp() / self._seconds)
        if window == self._window:
            return True
        try:
            self._store.create(f"{FOLDER}/{window}", self._name)
        except FileExistsError:
            self._window = 0
            return False
        before, self._window = self._window, window
        for entry in self._store.list(FOLDER):
            number = entry.path.rpartition("/")[2]
            if number.isdigit() and int(number) < min(window, before or window):
                self._store.delete(entry.path)
        return True
