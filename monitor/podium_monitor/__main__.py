"""`python -m podium_monitor`: the collector process. `python -m podium_monitor evaluate`: the evaluator process.

What only the one needs, the other does not import.
"""

import os
import sys

from podium_monitor.settings import InvalidSettings, settings_from


def _collect() -> None:
    from podium_monitor.server import serve

    serve(settings_from(os.environ))


def _evaluate() -> None:
    from podium_monitor.evaluator.server import serve, session_key
    from podium_monitor.evaluator.settings import evaluator_settings_from, lake_from
    from podium_monitor.sign_in.settings import sign_in_settings_from

    settings = evaluator_settings_from(os.environ)
    sign_in = sign_in_settings_from(os.environ, session_key(settings.collector_key))
    serve(settings, lake_from(os.environ), sign_in)


if __name__ == "__main__":
    commands = {(): _collect, ("evaluate",): _evaluate}
    command = commands.get(tuple(sys.argv[1:]))
    if command is None:
        sys.exit(f"podium-monitor takes no argument, or 'evaluate'; it got {' '.join(sys.argv[1:])!r}")
    try:
        command()
    except InvalidSettings as error:
        sys.exit(f"podium-monitor cannot start: {error}")
