"""Which files of an hour become one, and when."""

from datetime import UTC, datetime, timedelta

import pytest

from podium_monitor.lake.compaction import Policy, groups
from podium_monitor.lake.store import Entry
from podium_monitor.lake.tables import new_name

HOUR = datetime(2026, 11, 21, 13, tzinfo=UTC)
POLICY = Policy(small_bytes=100, target_bytes=250, files_at_once=4, late_files=3, busy_files=3)
FOLDER = "predictions/namespace=shop/deployment=churn/date=2026-11-21/hour=13"


def fresh(minute: float, size: int = 10) -> Entry:
    return Entry(f"{FOLDER}/{new_name(HOUR + timedelta(minutes=minute))}", size, HOUR)


def merged(minute: float, size: int = 10) -> Entry:
    return Entry(f"{FOLDER}/{new_name(HOUR + timedelta(minutes=minute), merged=True)}", size, HOUR)


@pytest.mark.parametrize(
    ("entries", "minute", "joined"),
    [
        pytest.param([fresh(1), fresh(2)], 69, [], id="an hour whose last rows may still come waits"),
        pytest.param([fresh(1), fresh(2)], 71, [2], id="then its files become one"),
        pytest.param([fresh(1)], 71, [], id="one file is one already"),
        pytest.param([fresh(1), fresh(2, size=100)], 71, [], id="a large file is left as it is"),
        pytest.param([fresh(1), fresh(2), fresh(3)], 30, [3], id="many files of the running hour do not wait"),
        pytest.param([fresh(1), fresh(2), fresh(29.5)], 30, [], id="but those of this minute do"),
        pytest.param([merged(59), fresh(90)], 100, [], id="late rows wait for company"),
        pytest.param([merged(59), fresh(90)], 151, [2], id="but not for ever"),
        pytest.param([merged(59), fresh(90), fresh(91), fresh(92)], 100, [4], id="and not when there are many"),
        pytest.param([merged(59, size=100), fresh(90)], 300, [], id="a late file alone stays beside a large one"),
        pytest.param([merged(29), merged(59)], 71, [2], id="what was joined while the hour ran is joined again"),
        pytest.param([fresh(minute, size=90) for minute in range(5)], 71, [2, 2], id="up to the target's size"),
        pytest.param([fresh(minute) for minute in range(6)], 71, [4, 2], id="and up to so many at once"),
    ],
)
def test_groups(entries: list[Entry], minute: float, joined: list[int]) -> None:
    found = groups(entries, HOUR, HOUR + timedelta(minutes=minute), POLICY)
    assert [len(group) for group in found] == joined
    paths = [entry.path for group in found for entry in group]
    assert len(set(paths)) == len(paths)


def test_an_hour_comes_to_rest() -> None:
    policy = Policy(small_bytes=100, target_bytes=250)
    entries = [fresh(minute, size=30) for minute in range(40)]
    rounds = 0
    while found := groups(entries, HOUR, HOUR + timedelta(days=1), policy):
        for group in found:
            entries = [entry for entry in entries if entry not in group]
            entries.append(merged(rounds, size=sum(entry.size for entry in group)))
        rounds += 1
    assert rounds <= 3
    assert len(entries) <= 7
