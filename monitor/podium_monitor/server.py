"""The process: uvicorn, logs to standard error, a drain that lets waiting batches become durable."""

import logging

import uvicorn

from podium_monitor.app import application
from podium_monitor.collector import Collector
from podium_monitor.lake.opening import open_store
from podium_monitor.listening import LISTENING
from podium_monitor.settings import Settings


def serve(settings: Settings) -> None:
    """Runs until SIGTERM. The exit code is not 0 when the collector's own work ended."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    app = application(settings, Collector(settings, open_store(settings.lake)))
    uvicorn.run(app, host=settings.bind, port=settings.port, **LISTENING)
