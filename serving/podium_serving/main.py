"""`python -m podium_serving`: serve, verify, fetch, local. The environment is read here and nowhere else."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from podium_crds.names import SERVING_CONTRACT
from podium_serving.environment import settings_from, with_entrance
from podium_serving.processes import die_with_parent
from podium_serving.settings import HttpSettings, InvalidSettings, ModelSettings, Settings

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
        case ["worker"]:
            return _work(given[1:])
    chosen = _parser().parse_args(given)
    return _serve() if chosen.command == "serve" else _local(chosen.package, chosen.host, chosen.port, chosen.grpc_port)


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
    local = commands.add_parser("local", help="serve one package on this machine")
    local.add_argument("--package", type=Path, required=True, metavar="DIR")
    local.add_argument("--port", type=int, default=8080)
    local.add_argument("--grpc-port", type=int, help="speak gRPC too, on this port")
    local.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 is all of this machine's")
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
        await serve(settings, _stop_on_signals())

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
        await work(settings, chosen.channel, chosen.words, _stop_on_signals())

    asyncio.run(run(settings_from(os.environ)))
    return 0


def _local(package: Path, host: str, port: int, grpc_port: int | None) -> int:
    from podium_serving.model.loaded import LoadedModel
    from podium_serving.model.package import InvalidPackage
    from podium_serving.running import local

    async def run() -> None:
        stop = _stop_on_signals()
        model = await LoadedModel.load(package, ModelSettings(threads=os.cpu_count() or 1))
        try:
            settings = with_entrance(_local_settings(model.descriptor.name, host, port, grpc_port), os.environ)
            async with local(model, settings) as bound:
                url = f"{'https' if settings.tls.dir else 'http'}://{host}:{bound.http}"
                print(f"Model  {model.descriptor.name} version {model.descriptor.version} ({model.digest})")
                print(f"URL    {url}/v2/models/{model.descriptor.name}/infer")
                if bound.grpc is not None:
                    print(f"gRPC   {host}:{bound.grpc}")
                print(f"Docs   {url}/docs", flush=True)
                await stop.wait()
        finally:
            await model.close()

    try:
        asyncio.run(run())
    except InvalidSettings as error:
        print(f"podium_serving: {error}", file=sys.stderr)
        return 2
    except (InvalidPackage, OSError) as error:
        print(f"podium_serving: {error}", file=sys.stderr)
        return 1
    return 0


def _local_settings(name: str, bind: str, port: int, grpc_port: int | None) -> Settings:
    # Nobody watches endpoints on a laptop: Ctrl-C ends at once what is idle.
    http = HttpSettings(drain_grace_seconds=0.0, drain_limit_seconds=10.0)
    return Settings(
        namespace="local",
        deployment=name,
        deployment_uid="local",
        pool="local",
        bind=bind,
        http_port=port,
        grpc_port=grpc_port,
        http=http,
    )


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
