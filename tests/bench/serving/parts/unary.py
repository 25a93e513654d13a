"""gRPC, one row, 16 calls in flight over 4 connections: Podium, MLServer's gRPC, and the least that grpc.aio can do."""

from contextlib import ExitStack
from dataclasses import replace

from bench.serving.generator import Report
from bench.serving.judgement import Row, at_least, ratio_interval
from bench.serving.servers import constant_grpc
from bench.serving.setting import (
    Setting,
    beside,
    contender,
    cpu,
    in_turns,
    podium_contender,
    rate,
    say,
    times_mlserver,
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
        say("  podium and bare grpc.aio")
        both = [podium_contender(setting, one, "grpc", 1), contender(setting, limit, "grpc", 1)]
        reports = in_turns(setting, both, PAIRS, 1.5, **many)
        for server in setting.mlservers():
            reports |= beside(setting, both[0], server, "grpc", 1, **many)
    return _rows(reports)


def _rows(reports: dict[str, list[Report]]) -> list[Row]:
    """One of the two is enough."""
    ours, limit = reports["podium"], reports["bare-grpc-aio"]
    name = f"gRPC 1 row, {IN_FLIGHT} in flight"
    peers = times_mlserver(PART, name, reports, TIMES_MLSERVER, "")
    share, by_cpu = rate(ours) / rate(limit), ratio_interval(cpu(limit), cpu(ours))
    note = f"bare grpc.aio {rate(limit):,.0f} /s; by CPU per request {by_cpu} of its speed"
    most = f"or ≥ {SHARE_OF_LIMIT} × bare grpc.aio"
    constant = Row(PART, name, told(ours), most, share, at_least(share, SHARE_OF_LIMIT, by_cpu), note)
    if "reached" in (peers.verdict, constant.verdict):
        return [replace(row, verdict="reached") for row in (peers, constant)]
    return [peers, constant]
