"""`podium_serving local`: serve packages from folders on this machine."""

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from podium_serving.environment import with_entrance
from podium_serving.local.folders import Folders
from podium_serving.local.models import POOL, LocalModels
from podium_serving.local.running import LocalPorts, local
from podium_serving.model.package import InvalidPackage
from podium_serving.processes import stop_on_signals
from podium_serving.settings import HttpSettings, InvalidSettings, ModelSettings, Settings


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """The exit code: 0 done, 1 failed, 2 wrong arguments or environment."""
    chosen = parser().parse_args(arguments)
    if not chosen.package and chosen.repository is None:
        print("podium_serving: give --package DIR, or --repository DIR with packages in it", file=sys.stderr)
        return 2
    try:
        settings = with_entrance(_settings(chosen.host, chosen.port, chosen.grpc_port), environment)
        asyncio.run(_serve(settings, Folders(chosen.package, chosen.repository), changeable=chosen.model_control))
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
    return parser


async def _serve(settings: Settings, folders: Folders, *, changeable: bool) -> None:
    stop = stop_on_signals()
    models = LocalModels(settings, folders)
    try:
        await models.load_all()
        async with local(models, settings, changeable=changeable) as ports:
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


def _settings(bind: str, port: int, grpc_port: int | None) -> Settings:
    return Settings(
        namespace=POOL,
        deployment=POOL,
        deployment_uid=POOL,
        pool=POOL,
        bind=bind,
        http_port=port,
        grpc_port=grpc_port,
        model=ModelSettings(threads=os.cpu_count() or 1),
        # Nobody watches endpoints on a laptop: Ctrl-C ends at once what is idle.
        http=HttpSettings(drain_grace_seconds=0.0, drain_limit_seconds=10.0),
    )
