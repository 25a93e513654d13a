"""The dashboard alone, on a lake and a folder of manifests: `dashboard_server.py FOLDER PORT`. No rounds disturb the clock.

`/naive` makes the overview as one would at first: every document read and parsed for every page.
"""

import sys
from functools import partial
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request, Response

from podium_monitor.access import NoReviews
from podium_monitor.dashboard.glances import Glances
from podium_monitor.dashboard.pages import Pages, answer
from podium_monitor.dashboard.routes import dashboard, overview_content, query_of
from podium_monitor.dashboard.sources import Sources
from podium_monitor.dashboard.views.glance import glance_of
from podium_monitor.dashboard.views.overview import row
from podium_monitor.evaluations.findings import findings
from podium_monitor.evaluations.reading import latest, outlined
from podium_monitor.lake.store import FolderStore
from podium_monitor.manifests import Manifests
from podium_monitor.sign_in.opening import reception
from podium_monitor.sign_in.settings import Open
from podium_monitor.sign_in.visitors import Visitor


def application(folder: Path) -> FastAPI:
    store, world, pages = FolderStore(folder / "lake"), Manifests(folder / "manifests"), Pages()
    sources = Sources(
        partial(latest, store), partial(outlined, store), Glances(store).of, lambda *_: None, findings, lambda *_: None
    )
    app = FastAPI()
    app.include_router(dashboard(reception(Open()), world, sources, NoReviews()))

    @app.get("/naive")
    def naive(request: Request) -> Response:
        rows = []
        for one in world.deployments():
            if (document := latest(store, one.namespace, one.name)) is not None:
                rows.append(row(one, glance_of(one, document, findings(one, document)), None))
        content = overview_content(rows, len(rows), query_of({}), Visitor(None))
        return answer(pages.rendered("overview.html", content), request)

    return app


if __name__ == "__main__":
    uvicorn.run(
        application(Path(sys.argv[1])), host="127.0.0.1", port=int(sys.argv[2]), http="httptools", log_level="warning"
    )
