"""`python -m podium_monitor`: the collector process."""

import os
import sys

from podium_monitor.server import serve
from podium_monitor.settings import InvalidSettings, settings_from

if __name__ == "__main__":
    try:
        settings = settings_from(os.environ)
    except InvalidSettings as error:
        sys.exit(f"podium-monitor cannot start: {error}")
    serve(settings)
