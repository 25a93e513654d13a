"""One hour of one deployment becomes its summary: the rows are read once, and again when rows or labels came late."""

from collections.abc import Callable
from concurrent.futures import Executor

import pyarrow as pa

from podium_evaluation.tallies import Tally, added
from podium_monitor.evaluations.keeping import SAMPLE_ROWS, ArmSummary, drawn
from podium_monitor.evaluations.labelled import Labels
from podium_monitor.evaluations.pieces import Piece
from podium_monitor.evaluations.rows import Arm, Kinds, Reading, Shadowed, Source
from podium_monitor.evaluations.samples import sample_of
from podium_monitor.evaluations.subject import Subject
from podium_monitor.evaluations.summarize import bounded, summarize

SubjectOf = Callable[[str], Subject]
"""By digest."""


def summaries(source: Source, kinds: Kinds, subject_of: SubjectOf, labels: Labels, pool: Executor) -> list[ArmSummary]:
    """By arm and version. Memory is bounded by the pieces that are in work, whatever the hour holds; of shadows, by their
    answers. Raises FileNotFoundError, OSError or pa.ArrowException when a file cannot be read."""
    found = []
    for digest in kinds.digests:
        found += _summaries(Reading(source, subject_of(digest), labels, kinds), pool)
    if source.shadows:
        shadowed = Shadowed(source, pool)
        for digest in shadowed.digests:
            subject = subject_of(digest)
            found += _summaries(Reading(source, subject, labels, kinds, shadowed.answers(subject)), pool)
    return found


def _summaries(reading: Reading, pool: Executor) -> list[ArmSummary]:
    tallies: dict[Arm, Tally] = {}
    samples: dict[Arm, pa.Table] = {}

    def counted(piece: Piece) -> list[tuple[Arm, Tally, pa.Table]]:
        found = reading.batches(piece)
        return [(arm, summarize(batch, reading.subject), sample_of(batch, SAMPLE_ROWS)) for arm, batch in found]

    for counts in pool.map(counted, reading.pieces):
        for arm, tally, rows in counts:
            tallies[arm] = bounded(added([tallies.get(arm, {}), tally]))
            if (sample := drawn([samples.get(arm), rows], SAMPLE_ROWS)) is not None:
                samples[arm] = sample
    return [ArmSummary(arm, reading.shadows is not None, tally, samples.get(arm)) for arm, tally in tallies.items()]
