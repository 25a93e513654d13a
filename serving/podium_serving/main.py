"""`python -m podium_serving`: serve, verify, fetch, local. The environment is read here and nowhere else."""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Sequence

from podium_crds.names import SERVING_CONTRACT
from podium_serving.environment import settings_from
from podium_serving.processes import die_with_parent, reaping, stop_on_signals
from podium_serving.settings import InvalidSettings, Settings

_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 done, 1 failed, 2 wrong arguments or environment. `verify` and `fetch` have their own meanings."""
    logging.basicConfig(level=logging.INFO, format=_LOG_FORMAT)
    given = list(sys.argv[1:] if arguments is None else arguments)
    # Imported per command: each has its own set of heavy libraries.
    match given[:1]:
        case ["verify"]:
            from podium_serving.verify.command import main as verify

            return verify(given[1:], os.environ)
        case ["fetch"]:
            from podium_serving.fetch.command import main as fetch

            return fetch(given[1:], os.environ)
        case ["local"]:
            from podium_serving.local.command import main as local

            return local(given[1:], os.environ)
        case ["worker"]:
            return _work(given[1:])
    _parser().parse_args(given)
    return _serve()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="podium_serving", description="Serves a model by the Open Inference Protocol.")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve as a pod of a deployment; settings come from PODIUM_* variables")
    serve.add_argument(
        "--contract",
        type=int,
        choices=range(1, SERVING_CONTRACT + 1),
        help="what the settings ask of this image: one that does not know it refuses to start",
    )
    commands.add_parser("local", help="serve packages on this machine", add_help=False)
    commands.add_parser("verify", help="run a package as a pod would, and write a report", add_help=False)
    commands.add_parser("fetch", help="download and check a package", add_help=False)
    return parser


def _serve() -> int:
    async def run(settings: Settings) -> None:
        # The supervisor of several workers stays small: it imports no runtime.
        if settings.workers > 1:
            from podium_serving.workers.supervisor import serve
        else:
            from podium_serving.running import serve
        reaper = asyncio.create_task(reaping())
        await serve(settings, stop_on_signals())
        reaper.cancel()

    try:
        asyncio.run(run(settings_from(os.environ)))
    except InvalidSettings as error:
        print(f"podium_serving: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"podium_serving: {error}", file=sys.stderr)
        return 1
    return 0


def _work(arguments: Sequence[str]) -> int:
    """Started by the supervisor of several workers, never by people."""
    die_with_parent()
    parser = argparse.ArgumentParser(prog="podium_serving worker")
    for name in ("--number", "--channel", "--words"):
        parser.add_argument(name, type=int, required=True)
    chosen = parser.parse_args(arguments)
    logging.basicConfig(format=_LOG_FORMAT.replace("%(name)s", f"worker {chosen.number} %(name)s"), force=True)
    logging.getLogger().setLevel(logging.INFO)
    from podium_serving.workers.worker import work

    async def run(settings: Settings) -> None:
        await work(settings, chosen.channel, chosen.words, stop_on_signals())

    try:
        asyncio.run(run(settings_from(os.environ)))
    except InvalidSettings as error:
        print(f"podium_serving: {error}", file=sys.stderr)
        return 2
    return 0
