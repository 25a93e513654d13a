"""`python -m demo up [--report FILE]` tells the story; `python -m demo down` takes it back. `make demo` calls this."""

import argparse
import sys
from pathlib import Path

from demo.models import ensure_cached
from demo.screen import Screen
from demo.story import Story, take_back
from demo.where import DemoError


def main() -> int:
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("command", choices=["up", "down"])
    parser.add_argument("--report", type=Path, default=None, help="also write the figures to this file, as JSON")
    arguments = parser.parse_args()
    screen = Screen()
    try:
        if arguments.command == "down":
            take_back()
            screen.good("the demo is gone; the cluster is still up: `make cluster-down` takes it back")
            screen.say("What stays then: the Debian packages and the cache that cluster-down lists.")
            return 0
        Story(screen, ensure_cached("demo")).tell()
    except DemoError as error:
        screen.console.print(f"\n[bold red]The demo stopped:[/] {error}", markup=True)
        screen.console.print("`make demo` goes on from what is there; `make demo-down` takes it back.")
        return 1
    finally:
        if arguments.report is not None:
            screen.save(arguments.report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
