"""`python -m monitor_in_a_hurry`: the collector process with minutes made fractions of a second, for tests of what it does
to its lake in the course of a day."""

import os
from dataclasses import replace
from datetime import timedelta

from podium_monitor.lake.compaction import Policy
from podium_monitor.lake.erasure import Times
from podium_monitor.maintenance import Pace
from podium_monitor.server import serve
from podium_monitor.settings import settings_from

# Longer than a process stands still while others have the processors. `watch` above all: a merge that was begun before an
# erasure and is written after it brings erased rows back, which are looked for once more when that is over.
PACE = Pace(
    pass_seconds=0.2,
    bucket_pass_seconds=0.2,
    lease_seconds=5.0,
    whole_seconds=2.0,
    readers=timedelta(seconds=5),
    policy=Policy(settle=timedelta(0), late=timedelta(seconds=1), late_files=4, busy_files=4, busy_age=timedelta(0)),
    erasure=Times(watch=timedelta(seconds=10), gone=timedelta(seconds=8)),
)

if __name__ == "__main__":
    serve(replace(settings_from(os.environ), pace=PACE))
