"""`podium_serving local`: serve packages from folders on this machine."""

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from podium_serving.environment import with_entrance
from podium_serving.local.counting import Figures
from podium_serving.local.folders import Folders
from podium_serving.local.models import POOL, LocalModels
from podium_serving.local.running import LocalPorts, local
from podium_serving.metrics import Metrics
from podium_serving.model.package import InvalidPackage
from podium_serving.processes import die_with_parent, stop_on_signals
from podium_serving.settings import HttpSettings, InvalidSettings, ModelSettings, Settings


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """The exit code: 0 done, 1 failed, 2 wrong arguments or environment."""
    chosen = parser().parse_args(arguments)
    if chosen.workers > 1 and (chosen.model_control or not chosen.port):
        print("podium_serving: several workers need a --port of their own and no --model-control", file=sys.stderr)
        return 2
    if not chosen.package and chosen.repository is None:
        print("podium_serving: give --package DIR, or --repository DIR with packages in it", file=sys.stderr)
        return 2
    try:
        settings = with_entrance(_settings(chosen), environment)
        asyncio.run(_serve(settings, chosen, arguments))
    except InvalidSettings as error:
        print(f"podium_serving: {error}", file=sys.stderr)
        return 2
    except (InvalidPackage, OSError) as error:
        print(f"podium_serving: {error}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="podium_serving local", description="Serves packages on this machine.")
    parser.add_argument("--package", type=Path, action="append", default=[], metavar="DIR", help="may be repeated")
    parser.add_argument("--repository", type=Path, metavar="DIR", help="a folder with a package per folder in it")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--grpc-port", type=int, help="where gRPC is spoken, too; none without it")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 is all of this machine's")
    parser.add_argument("--model-control", action="store_true", help="let clients load and unload models")
    parser.add_argument("--workers", type=int, choices=range(1, 33), default=1, metavar="N", help="processes; default 1")
    for given_to_workers in ("--number", "--channel", "--words"):
        parser.add_argument(given_to_workers, type=int, help=argparse.SUPPRESS)
    return parser


async def _serve(settings: Settings, chosen: argparse.Namespace, arguments: Sequence[str]) -> None:
    stop, folders = stop_on_signals(), Folders(chosen.package, chosen.repository)
    if chosen.channel is not None:
        from podium_serving.workers.local import work

        die_with_parent()
        await work(settings, folders, _tell, chosen.channel, stop)
    elif settings.workers > 1:
        from podium_serving.workers.local import serve

        await serve(settings, arguments, stop)
    else:
        await _alone(settings, folders, stop, changeable=chosen.model_control)


async def _alone(settings: Settings, folders: Folders, stop: asyncio.Event, *, changeable: bool) -> None:
    models = LocalModels(settings, folders)
    figures = Figures(models.metrics, Metrics(POOL, "", process=False))
    try:
        await models.load_all()
        async with local(models, settings, figures, figures.answer, changeable=changeable, shared=False) as ports:
            _tell(settings, models, ports)
            await stop.wait()
    finally:
        await models.close()


def _tell(settings: Settings, models: LocalModels, ports: LocalPorts) -> None:
    url = f"{'https' if settings.tls.dir else 'http'}://{settings.bind}:{ports.http}"
    for name, state in models.states.items():
        if state.current is not None:
            version = state.current.plan.champion.version
            print(f"Model  {name} version {version.name} ({version.digest})")
            print(f"URL    {url}/v2/models/{name}/infer")
    if ports.grpc is not None:
        print(f"gRPC   {settings.bind}:{ports.grpc}")
    print(f"Docs   {url}/docs", flush=True)


def _settings(chosen: argparse.Namespace) -> Settings:
    return Settings(
        namespace=POOL,
        deployment=POOL,
        deployment_uid=POOL,
        pool=POOL,
        bind=chosen.host,
        http_port=chosen.port,
        grpc_port=chosen.grpc_port,
        workers=chosen.workers,
        model=ModelSettings(threads=max(1, (os.cpu_count() or 1) // chosen.workers)),
        # Nobody watches endpoints on a laptop: Ctrl-C ends at once what is idle.
        http=HttpSettings(drain_grace_seconds=0.0, drain_limit_seconds=10.0),
    )
