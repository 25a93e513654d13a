"""How the monitor's processes listen: uvicorn's settings for the collector, the evaluator and the port of the proxy."""

from collections.abc import Mapping
from typing import Any

from podium_monitor.heads import BoundedHeads

LISTENING: Mapping[str, Any] = {
    "http": BoundedHeads,
    "loop": "asyncio",
    "access_log": False,
    "log_config": None,
    "proxy_headers": False,  # who asks is who connects: bounds by address cannot be talked out of
    "server_header": False,
    "timeout_keep_alive": 75,
    "timeout_graceful_shutdown": 20,  # a pod has 30 s
}
"""All but who listens where."""
