"""Hot swaps under load over three replicas on the local node: what was lost, how wide the flip, how slow the neighbours.

Prints one JSON object. Latency during a swap is compared with the seconds before it in the same run: the machine is noisy.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from demo import install
from demo.load import BackgroundLoad, Load, Outcome, between, figures
from demo.where import local
from harness.questions import question
from harness.site import Model, Site, push
from serving_fixtures import make_package

WINDOW_SECONDS = 2.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--swaps", type=int, default=6)
    parser.add_argument("--rate", type=float, default=200.0, help="requests per second")
    arguments = parser.parse_args()
    where = local(bring_up=True)
    install.install(where, install.build_images(where))
    site = Site(where)
    site.up()
    try:
        print(json.dumps(measure(site, arguments.swaps, arguments.rate), indent=2))
    finally:
        site.down()
    return 0


def measure(site: Site, swaps: int, rate: float) -> dict[str, object]:
    models = []
    with tempfile.TemporaryDirectory() as folder:
        for name, weights in (("one", (1.0, 1.0)), ("two", (2.0, 2.0))):
            place = Path(folder) / name
            models.append(push(site.where, place, name, make_package(place, name="sum", version=name, weights=weights)))
    site.versions(*models)
    site.deploy(models[0], replicas=3, capture={"percent": 0})
    site.serving(models[0])
    site.wait("three ready pods", lambda: len(site.ready_pods()) == 3)
    url = f"http://127.0.0.1:{site.port}/v2/models/demo/infer"
    rows = []
    with BackgroundLoad(Load(url, [question()], rate=rate, connections=32)) as outcomes:
        time.sleep(5)
        for turn in range(1, swaps + 1):
            rows.append(swap(site, turn, models, outcomes))
    seen = figures(outcomes)
    return {"requests": seen.sent, "failed": seen.failed, "rate": rate, "versions": seen.versions, "swaps": rows}


def swap(site: Site, turn: int, models: list[Model], outcomes: list[Outcome]) -> dict[str, float]:
    champion = models[turn % 2]
    time.sleep(WINDOW_SECONDS + 1)
    applied = time.time()
    site.deploy(champion, replicas=3, capture={"percent": 0})
    status = site.serving(champion)
    ready = time.time()
    time.sleep(WINDOW_SECONDS)
    new = [outcome.sent_at for outcome in outcomes if outcome.version == champion.name and outcome.sent_at > applied]
    old = [outcome.sent_at for outcome in outcomes if outcome.version != champion.name and outcome.sent_at > applied]
    return {
        "apply_to_ready_seconds": round(ready - applied, 2),
        "apply_to_first_new_answer_seconds": round(min(new) - applied, 2),
        "flip_milliseconds_by_admission": status["lastSwap"]["flipMilliseconds"],
        "overlap_milliseconds_by_client": round(max(0.0, max(old) - min(new)) * 1000, 1),
        "p99_before_milliseconds": round(figures(between(outcomes, applied - WINDOW_SECONDS, applied)).p99_milliseconds, 1),
        "p99_during_milliseconds": round(figures(between(outcomes, applied, applied + WINDOW_SECONDS)).p99_milliseconds, 1),
    }


if __name__ == "__main__":
    sys.exit(main())
