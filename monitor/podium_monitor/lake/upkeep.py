"""What keeps the lake in order, piece by piece: compaction and retention over a store. When and by whom: maintenance.

Reads, asks the pure decisions (compaction, retention), and carries them out. A piece that fails leaves the lake as it was,
or what `replacing.finish` completes.
"""

import io
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow as pa

from podium_monitor.lake.compaction import Policy, groups
from podium_monitor.lake.merging import Unmergeable, merged
from podium_monitor.lake.reading import dates, deployments, of_date
from podium_monitor.lake.replacing import replace_files
from podium_monitor.lake.retention import Retention, expired
from podium_monitor.lake.retention_wishes import wished_days
from podium_monitor.lake.store import Entry, Store
from podium_monitor.lake.tables import SCHEMAS, Table, folder_of, hour_of_path, new_name, received_at

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """Files of one hour that become one."""

    folder: str
    entries: tuple[Entry, ...]


@dataclass(slots=True)
class Seen:
    """What a look through the lake found."""

    jobs: list[Job] = field(default_factory=list)
    files: dict[Table, int] = field(default_factory=lambda: dict.fromkeys(SCHEMAS, 0))
    bytes: dict[Table, int] = field(default_factory=lambda: dict.fromkeys(SCHEMAS, 0))

    @property
    def backlog(self) -> int:
        """Files that wait to become one with others."""
        return sum(len(job.entries) for job in self.jobs)


def look(store: Store, now: datetime, policy: Policy, newest_dates: int | None = None) -> Seen:
    """What is there on the newest dates of each deployment (None: on all), and what of it should become one."""
    seen = Seen()
    for table, folder in _date_folders(store, newest_dates):
        hours: dict[str, list[Entry]] = {}
        for entry in of_date(store, folder):
            hours.setdefault(entry.path.rpartition("/")[0], []).append(entry)
            seen.files[table] += 1
            seen.bytes[table] += entry.size
        for hour_folder, entries in hours.items():
            hour = hour_of_path(hour_folder)
            if hour is not None:
                seen.jobs += [Job(hour_folder, tuple(group)) for group in groups(entries, hour, now, policy)]
    return seen


def _date_folders(store: Store, newest: int | None) -> Iterator[tuple[Table, str]]:
    for table in SCHEMAS:
        for namespace, deployment in deployments(store, table):
            folder = folder_of(table, namespace, deployment)
            for date in dates(store, table, namespace, deployment)[-newest if newest else None :]:
                yield table, f"{folder}/date={date}"


def compact(store: Store, job: Job, now: datetime, may_go_on: Callable[[], bool]) -> int:
    """Makes one file of the job's. Returns how many were replaced: 0 if one is gone, or if they do not fit together.

    Merging takes a while: whether it may go on is asked once more before anything is written.
    """
    paths = [entry.path for entry in job.entries]
    try:
        content = merged([io.BytesIO(store.read(path)) for path in paths])
    except FileNotFoundError:
        return 0  # another collector was faster
    except (Unmergeable, pa.ArrowException) as error:
        logger.warning("the files of %s stay as they are: %s", job.folder, error)
        return 0
    if not may_go_on():
        return 0
    newest = max((received for path in paths if (received := received_at(path)) is not None), default=now)
    replace_files(store, job.folder, new_name(newest, merged=True), content, paths, now)
    return len(paths)


def delete_expired(store: Store, now: datetime, retention: Retention) -> int:
    """Deletes the files of dates that are older than each deployment's days. Returns their number. A deployment whose wish
    cannot be read keeps what it has, as far as the installation's maximum allows."""
    deleted = 0
    for table in SCHEMAS:
        for namespace, deployment in deployments(store, table):
            days = _days(store, namespace, deployment, retention)
            if days is None:
                continue
            for date in expired(dates(store, table, namespace, deployment), now.astimezone(UTC).date(), days):
                for entry in store.list(f"{folder_of(table, namespace, deployment)}/date={date}"):
                    store.delete(entry.path)
                    deleted += 1
    return deleted


def _days(store: Store, namespace: str, deployment: str, retention: Retention) -> int | None:
    try:
        return retention.of(wished_days(store, namespace, deployment))
    except ValueError as error:
        logger.error("%s", error)
        return retention.most
