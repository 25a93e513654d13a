"""The same forest behind 30 named inputs instead of one tensor: what a client pays for names. For information."""

from bench.serving.judgement import Row
from bench.serving.setting import Setting, in_turns, podium_contender, summary, told

PART = "named30"
CONNECTIONS = 16


def run(setting: Setting) -> list[Row]:
    rows = []
    for name, form, count in (("named-1", "named", 1), ("named-1", "named", 64), ("rf-1", "json", 1)):
        with setting.podium(name) as one:
            ours = in_turns(setting, [podium_contender(setting, one, form, count)], 3, 1.5, connections=CONNECTIONS)
        what = "30 inputs [n, 1]" if form == "named" else "one input [n, 30]"
        value = told(ours["podium"], rows=count)
        rows.append(Row(PART, f"{count}-row JSON, {what}, {CONNECTIONS} connections", value, details=summary(ours)))
    return rows
