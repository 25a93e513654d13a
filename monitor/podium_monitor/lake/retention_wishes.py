"""For how long each deployment's rows are kept, as its spec says: the evaluator, which knows the specs, writes it into the
lake, and the collector, which may ask no API server, reads it there. Of a deployment that was deleted the last word stays.

    retention/namespace=shop/deployment=churn.json    {"days": 30}; null: as the installation has it
"""

import msgspec

from podium_monitor.lake.store import Store


class _Wish(msgspec.Struct):
    days: int | None


class RetentionWishes:
    """For the evaluator's thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._noted: dict[tuple[str, str], int | None] = {}

    def note(self, namespace: str, deployment: str, days: int | None) -> None:
        """Written when it is another one than the lake has. Raises OSError."""
        place = (namespace, deployment)
        if place in self._noted and self._noted[place] == days:
            return
        try:
            known = wished_days(self._store, *place) == days
        except ValueError:
            known = False
        if not known:
            self._store.replace(_path(*place), msgspec.json.encode(_Wish(days)))
        self._noted[place] = days


def wished_days(store: Store, namespace: str, deployment: str) -> int | None:
    """None: it wishes for nothing. Raises ValueError for a document that cannot be read, OSError."""
    path = _path(namespace, deployment)
    try:
        found = msgspec.json.decode(store.read(path), type=_Wish).days
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise ValueError(f"{path} does not say for how many days rows are kept: {error}") from error
    if found is not None and found < 1:
        raise ValueError(f"{path} says that rows are kept for {found} days, must be at least 1")
    return found


def _path(namespace: str, deployment: str) -> str:
    return f"retention/namespace={namespace}/deployment={deployment}.json"
