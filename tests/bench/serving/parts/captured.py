"""What capturing every row costs at half load, with one field left out and one hashed: CPU time per request in pairs."""

import statistics
from contextlib import ExitStack

from bench.serving.generator import Report
from bench.serving.judgement import Row, at_most, ratio_interval
from bench.serving.setting import Contender, Setting, cpu, in_turns, podium_contender, rate, say, summary
from podium_crds.plan import PlannedCapture

PART = "captured"
PAIRS = 8
CONNECTIONS = 64
MOST_COST = 1.05
HIDING = PlannedCapture(percent=100, redact=["probabilities"], hash=["label"])
"""The forest has one input, so outputs are hidden."""


def run(setting: Setting) -> list[Row]:
    with ExitStack() as stack:
        plain = stack.enter_context(setting.podium(capture=None))
        capturing = stack.enter_context(setting.podium(capture=HIDING))
        without = podium_contender(setting, plain, "json", 1)
        with_it = Contender("podium, capturing", capturing.started, podium_contender(setting, capturing, "json", 1).load)
        (peak,) = in_turns(setting, [with_it], 1, 2.0, connections=CONNECTIONS).values()
        half = rate(peak) / 2
        say(f"  pairs at {half:,.0f} /s")
        dropped = capturing.total("podium_capture_events_total", 'outcome="Dropped"')
        reports = in_turns(setting, [without, with_it], PAIRS, 3.0, connections=CONNECTIONS, rate=half)
        dropped = capturing.total("podium_capture_events_total", 'outcome="Dropped"') - dropped
    return _rows(reports, reports[without.name], reports[with_it.name], dropped)


def _rows(reports: dict[str, list[Report]], plain: list[Report], capturing: list[Report], dropped: float) -> list[Row]:
    ratio = ratio_interval(cpu(capturing), cpu(plain))
    alone, both = (statistics.median(cpu(runs)) * 1e6 for runs in (plain, capturing))
    measure = "capture at half load, one field redacted, one hashed: CPU per request"
    note = f"{ratio}; {alone:.0f} µs without, at {rate(capturing):,.0f} /s"
    verdict = at_most(ratio.mean, MOST_COST, ratio)
    cost = Row(PART, measure, f"{both:.0f} µs", f"≤ {MOST_COST} × without", ratio.mean, verdict, note, summary(reports))
    return [cost, Row(PART, "the same: rows dropped", f"{dropped:.0f}", "0", dropped, at_most(dropped, 0))]
