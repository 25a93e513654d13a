import asyncio
import threading
from pathlib import Path

import pytest
from aiohttp import web

from operator_fixtures import scripted_cluster, settings, until
from podium_operator.cluster import Credentials
from podium_operator.kinds import KINDS, Manifest
from podium_operator.runtime.watch import WATCHED, Watch, kopf_settings

pytestmark = pytest.mark.process


def test_kopf_posts_nothing_and_the_api_server_filters_what_is_not_ours() -> None:
    known = kopf_settings()
    assert not known.posting.enabled
    assert known.scanning.disabled
    for kind, label in WATCHED.items():
        found = KINDS[kind]
        selector = (found.group, found.version, found.plural)
        assert known.watching.label_selectors.get(selector, "") == label
    assert WATCHED["Pod"] == "podium.dev/deployment"
    assert WATCHED["Job"] == "podium.dev/model-version"


def test_secrets_are_not_watched() -> None:
    assert "Secret" not in WATCHED


def test_back_offs_never_end_and_begin_anew_each_time() -> None:
    back_offs = kopf_settings().networking.error_backoffs
    assert not isinstance(back_offs, float)
    for _ in range(2):
        delays = iter(back_offs)
        assert [next(delays) for _ in range(200)][:5] == [0.5, 1.0, 2.0, 3.0, 5.0]


async def test_a_watch_whose_credentials_are_refused_ends_and_with_it_the_process(tmp_path: Path) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({"kind": "Status", "code": 401, "message": "who are you"}, status=401)

    def on_event(kind: str, manifest: Manifest, gone: bool) -> None:
        raise AssertionError("nothing is watched")

    async with scripted_cluster(tmp_path, refuse) as (cluster, _, _), asyncio.timeout(60):
        with pytest.raises(RuntimeError, match="the watch ended"):
            await Watch(settings(), cluster.credentials, on_event).run()


async def test_a_watch_that_is_cancelled_stops_its_thread() -> None:
    async def credentials() -> Credentials:
        return Credentials("http://127.0.0.1:9", None, None, None)

    watching = asyncio.create_task(Watch(settings(), credentials, lambda *_: None).run())
    await until(lambda: any(thread.name == "watch" for thread in threading.enumerate()))
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await until(lambda: not any(thread.name == "watch" for thread in threading.enumerate()))
