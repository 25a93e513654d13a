"""The process: uvicorn, logs to standard error, a drain that lets waiting batches become durable."""

import logging

import uvicorn

from podium_monitor.app import application
from podium_monitor.collector import Collector
from podium_monitor.heads import BoundedHeads
from podium_monitor.lake.opening import open_store
from podium_monitor.settings import Settings

_DRAIN_SECONDS = 20
_KEEP_ALIVE_SECONDS = 75


def serve(settings: Settings) -> None:
    """Runs until SIGTERM. The exit code is not 0 when the collector's own work ended."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    uvicorn.run(
        application(settings, Collector(settings, open_store(settings.lake))),
        host=settings.bind,
        port=settings.port,
        http=BoundedHeads,
        loop="asyncio",
        access_log=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
        log_config=None,
    )
