"""gRPC, one row, 16 calls in flight over 4 connections: Podium, MLServer's gRPC, and the least that grpc.aio can do."""

from contextlib import ExitStack

from bench.serving.generator import Report
from bench.serving.judgement import Row, at_least, ratio_interval
from bench.serving.servers import constant_grpc
from bench.serving.setting import (
    Setting,
    best_mlserver,
    contender,
    cpu,
    in_turns,
    podium_contender,
    rate,
    rates,
    summary,
    told,
)

PART = "unary"
IN_FLIGHT = 16
CONNECTIONS = 4
PAIRS = 6
TIMES_MLSERVER = 3.0
SHARE_OF_LIMIT = 0.8


def run(setting: Setting) -> list[Row]:
    many = {"connections": CONNECTIONS, "in_flight": IN_FLIGHT}
    with ExitStack() as stack:
        one = stack.enter_context(setting.podium())
        limit = stack.enter_context(constant_grpc(setting.cores.server, setting.folder))
        setting.say("  podium and bare grpc.aio")
        both = [podium_contender(setting, one, "grpc", 1), contender(setting, limit, "grpc", 1)]
        reports = in_turns(setting, both, PAIRS, 1.5, **many)
    for server in setting.mlservers():
        reports |= in_turns(setting, [contender(setting, server, "grpc", 1)], setting.peer_rounds, 1.5, **many)
    return _rows(reports)


def _rows(reports: dict[str, list[Report]]) -> list[Row]:
    ours, limit = reports["podium"], reports["bare-grpc-aio"]
    times, share = rate(ours) / rate(reports[best_mlserver(reports)]), rate(ours) / rate(limit)
    by_cpu = ratio_interval(cpu(limit), cpu(ours))
    either = [at_least(times, TIMES_MLSERVER), at_least(share, SHARE_OF_LIMIT, by_cpu)]
    verdict = "reached" if "reached" in either else either[0]
    name = f"gRPC 1 row, {IN_FLIGHT} in flight"
    value = told(ours)
    beside = f"bare grpc.aio {rate(limit):,.0f} /s; by CPU per request {by_cpu} of its speed"
    least, most = f"≥ {TIMES_MLSERVER:g} × MLServer, or", f"≥ {SHARE_OF_LIMIT} × bare grpc.aio"
    return [
        Row(PART, name, value, least, times, verdict, rates(reports, "mlserver"), summary(reports)),
        Row(PART, name, value, most, share, verdict, beside),
    ]
