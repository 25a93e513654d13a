"""Signing in with a real issuer over real sockets. The dashboard's own address is https: the test plays the TLS in front."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI

from dashboard_fixtures import Rights, StillWorld, Story, sources, watched
from oidc_fixtures import CALLBACK_ADDRESS, CLIENT, SECRET, Provider
from podium_monitor.dashboard.routes import dashboard
from podium_monitor.sign_in.opening import reception
from podium_monitor.sign_in.sessions import ATTEMPT, SESSION
from podium_monitor.sign_in.settings import Oidc
from security_fixtures import rsa_key
from web_fixtures import served

pytestmark = pytest.mark.process

STORIES = [Story(days=2, columns=("age",)), Story(name="fraud", namespace="payments", days=2, columns=("age",))]


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa_key()


class Browser:
    """Keeps cookies as a browser does that is told they came over https."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self.cookies: dict[str, str] = {}
        self.attributes: dict[str, str] = {}

    async def get(self, path: str) -> tuple[int, str, dict[str, str]]:
        return await self._ask("GET", path)

    async def post(self, path: str, form: dict[str, str]) -> tuple[int, str, dict[str, str]]:
        return await self._ask("POST", path, form)

    async def _ask(self, method: str, path: str, form: dict[str, str] | None = None) -> tuple[int, str, dict[str, str]]:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}
        async with self._session.request(
            method, self._url + path, headers=headers, data=form, allow_redirects=False
        ) as response:
            for line in response.headers.getall("Set-Cookie", []):
                self._keep(line)
            return response.status, await response.text(), dict(response.headers)

    def _keep(self, line: str) -> None:
        for name, morsel in SimpleCookie(line).items():
            self.attributes[name] = line
            if morsel["max-age"] == "0":
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel.value

    async def signed_in(self, to: str = "/") -> str:
        """Goes to the issuer and back. The path with which the browser comes back from there."""
        status, _, headers = await self.get(f"/sign-in?to={to}")
        assert status == 303
        async with self._session.get(headers["Location"], allow_redirects=False) as response:
            back = response.headers["Location"]
        assert back.startswith(f"{CALLBACK_ADDRESS}/sign-in/callback?")
        return back.removeprefix(CALLBACK_ADDRESS)


@asynccontextmanager
async def browsing(provider: Provider, rights: Rights, **changes: Any) -> AsyncIterator[Browser]:
    known = {"client_secret": SECRET, "session_key": b"k" * 32, **changes}
    settings = Oidc(issuer=provider.url, client_id=CLIENT, address=CALLBACK_ADDRESS, **known)
    app = FastAPI()
    world = StillWorld([watched(story) for story in STORIES])
    app.include_router(dashboard(reception(settings), world, sources(STORIES), rights))
    async with served(app) as url, aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Browser(session, url)


async def test_who_is_not_signed_in_is_sent_to_the_issuer_and_sees_no_name(key: rsa.RSAPrivateKey) -> None:
    async with Provider(key).running() as provider, browsing(provider, Rights()) as browser:
        for path in ("/", "/deployments/retention/churn", "/deployments/nowhere/none", "/versions/retention/churn-3"):
            status, body, headers = await browser.get(path)
            assert (status, body) == (303, "")
            assert parse_qs(urlsplit(headers["Location"]).query) == {"to": [path]}


async def test_a_visitor_sees_the_namespaces_that_the_api_server_allows(key: rsa.RSAPrivateKey) -> None:
    rights = Rights({("analysts", "retention")})
    async with Provider(key).running() as provider, browsing(provider, rights) as browser:
        status, _, headers = await browser.get(await browser.signed_in("/deployments/retention/churn"))
        assert (status, headers["Location"]) == (303, f"{CALLBACK_ADDRESS}/deployments/retention/churn")
        assert ATTEMPT not in browser.cookies
        for wanted in ("Secure", "HttpOnly", "SameSite=lax", "Path=/", "Max-Age=28800"):
            assert wanted in browser.attributes[SESSION]
        assert "Domain" not in browser.attributes[SESSION]
        status, body, _ = await browser.get("/")
        assert status == 200
        assert "ada@example.com" in body
        assert "churn" in body
        assert "fraud" not in body
        assert "payments" not in body
        hidden = await browser.get("/deployments/payments/fraud")
        missing = await browser.get("/deployments/payments/nothing")
        assert hidden[0] == missing[0] == 404
        assert hidden[1].replace("fraud", "") == missing[1].replace("nothing", "")
        assert ("get", "modeldeployments", "retention") in rights.asked


async def test_a_code_counts_once_and_in_the_browser_that_asked(key: rsa.RSAPrivateKey) -> None:
    async with Provider(key).running() as provider, browsing(provider, Rights()) as browser:
        back = await browser.signed_in()
        kept = dict(browser.cookies)
        browser.cookies.clear()
        assert (await browser.get(back))[0] == 403
        assert provider.exchanges == 0
        browser.cookies.update(kept)
        assert (await browser.get(back))[0] == 303
        browser.cookies = kept
        status, body, _ = await browser.get(back)
        assert status == 403
        assert "invalid_grant" in body


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        pytest.param({"nonce": "another"}, "another sign-in", id="a-nonce-of-another-sign-in"),
        pytest.param({"nonce": None}, "another sign-in", id="no-nonce"),
        pytest.param({"aud": "another"}, "not valid", id="another-client"),
        pytest.param({"aud": [CLIENT, "another"]}, "another client", id="two-clients-and-no-authorized-party"),
        pytest.param({"iss": "http://127.0.0.1:1"}, "not valid", id="another-issuer"),
        pytest.param({"exp": 1}, "not valid", id="expired"),
        pytest.param({"sub": None}, "not valid", id="no-subject"),
        pytest.param({"email": None}, "no claim &#39;email&#39;", id="no-claim-that-names-the-user"),
        pytest.param({"email_verified": False}, "not verified your e-mail", id="an-unverified-address"),
        pytest.param({"email": "system:admin"}, "Kubernetes&#39; own", id="a-name-of-the-cluster"),
        pytest.param({"groups": [f"group-{i:032x}-{i * i:x}" for i in range(300)]}, "do not fit", id="too-many-groups"),
    ],
)
async def test_a_token_that_is_not_for_this_sign_in_lets_nobody_in(
    key: rsa.RSAPrivateKey, changed: dict[str, Any], says: str
) -> None:
    async with Provider(key, changed=changed).running() as provider, browsing(provider, Rights()) as browser:
        status, body, _ = await browser.get(await browser.signed_in())
        assert status == 403
        assert says in body
        assert SESSION not in browser.cookies


async def test_a_token_that_another_key_has_signed_lets_nobody_in(key: rsa.RSAPrivateKey) -> None:
    async with Provider(key, signing_key=rsa_key()).running() as provider, browsing(provider, Rights()) as browser:
        assert (await browser.get(await browser.signed_in()))[0] == 403


async def test_a_token_signed_with_the_public_key_as_a_secret_lets_nobody_in(
    key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = Provider(key)
    async with provider.running(), browsing(provider, Rights()) as browser:
        claims = {
            "iss": provider.url,
            "aud": CLIENT,
            "sub": "42",
            "iat": 1,
            "exp": 9_999_999_999,
            "email": "eve@example.com",
        }
        monkeypatch.setattr(
            provider,
            "token",
            lambda nonce: jwt.encode({**claims, "nonce": nonce}, "k" * 32, "HS256", headers={"kid": "one"}),
        )
        status, body, _ = await browser.get(await browser.signed_in())
        assert status == 403
        assert "HS256" in body


async def test_new_keys_of_the_issuer_are_fetched_when_one_is_unknown(
    key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podium_monitor.sign_in.kept.PAUSE_SECONDS", 0.0)
    async with Provider(key).running() as provider, browsing(provider, Rights()) as browser:
        assert (await browser.get(await browser.signed_in()))[0] == 303
        provider.kid, provider.key = "two", rsa_key()
        assert (await browser.get(await browser.signed_in()))[0] == 303
        assert provider.key_fetches == 2


@pytest.mark.parametrize(
    "to", ["https://evil.example", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "/sign-in"]
)
async def test_nobody_is_sent_elsewhere_after_signing_in(key: rsa.RSAPrivateKey, to: str) -> None:
    async with Provider(key).running() as provider, browsing(provider, Rights()) as browser:
        _, _, headers = await browser.get(await browser.signed_in(to))
        assert headers["Location"] == f"{CALLBACK_ADDRESS}/"


async def test_a_session_of_another_key_or_a_changed_one_is_none(key: rsa.RSAPrivateKey) -> None:
    async with Provider(key).running() as provider:
        async with browsing(provider, Rights(), session_key=b"o" * 32) as browser:
            await browser.get(await browser.signed_in())
            other = browser.cookies[SESSION]
        async with browsing(provider, Rights()) as browser:
            for cookie in (other, "nonsense", "", "é"):
                browser.cookies = {SESSION: cookie}
                assert (await browser.get("/"))[0] == 303
            await browser.get(await browser.signed_in())
            assert (await browser.get("/"))[0] == 200
            await browser.get("/sign-in")
            browser.cookies[SESSION] = browser.cookies[ATTEMPT]
            assert (await browser.get("/"))[0] == 303


async def test_a_session_ends_with_its_time_whatever_the_browser_keeps(
    key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Provider(key).running() as provider, browsing(provider, Rights(), session_seconds=60) as browser:
        await browser.get(await browser.signed_in())
        assert (await browser.get("/"))[0] == 200
        now = time.time
        monkeypatch.setattr("cryptography.fernet.time.time", lambda: now() + 61)
        assert (await browser.get("/"))[0] == 303


async def test_signing_out_takes_a_form_of_the_dashboard(key: rsa.RSAPrivateKey) -> None:
    async with Provider(key).running() as provider, browsing(provider, Rights()) as browser:
        await browser.get(await browser.signed_in())
        for form in ({}, {"token": ""}, {"token": "guessed"}):
            assert (await browser.post("/sign-out", form))[0] == 403
            assert SESSION in browser.cookies
        assert (await browser.get("/sign-out"))[0] == 405
        _, body, _ = await browser.get("/")
        token = body.partition('name="token" value="')[2].partition('"')[0]
        assert (await browser.post("/sign-out", {"token": token}))[0] == 200
        assert SESSION not in browser.cookies
        assert (await browser.get("/"))[0] == 303


@pytest.mark.parametrize(
    "published",
    [
        pytest.param({"issuer": "http://127.0.0.1:1"}, id="of-another-issuer"),
        pytest.param({"token_endpoint": "ftp://127.0.0.1/token"}, id="with-an-endpoint-that-is-none"),
    ],
)
async def test_a_discovery_document_that_cannot_be_believed_is_an_issuer_that_does_not_answer(
    key: rsa.RSAPrivateKey, published: dict[str, Any]
) -> None:
    async with Provider(key, published=published).running() as provider, browsing(provider, Rights()) as browser:
        status, body, _ = await browser.get("/sign-in")
        assert status == 503
        assert "127.0.0.1" not in body


async def test_an_answer_with_an_error_or_of_another_issuer_is_told(key: rsa.RSAPrivateKey) -> None:
    async with Provider(key).running() as provider, browsing(provider, Rights()) as browser:
        back = await browser.signed_in()
        assert (await browser.get(f"{back}&iss=http://127.0.0.1:1"))[0] == 403
        state = parse_qs(urlsplit(await browser.signed_in()).query)["state"][0]
        status, body, _ = await browser.get(f"/sign-in/callback?error=access_denied&error_description=<b>no&state={state}")
        assert status == 403
        assert "access_denied &lt;b&gt;no" in body


async def test_the_answers_of_the_sign_in_carry_the_headers_that_keep_browsers_from_harm(key: rsa.RSAPrivateKey) -> None:
    async with Provider(key).running() as provider, browsing(provider, Rights()) as browser:
        for path in ("/", "/sign-in", "/sign-in/callback", "/static/podium.css"):
            _, _, headers = await browser.get(path)
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
            assert "unsafe" not in headers["Content-Security-Policy"]
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "same-origin"


async def test_a_silent_issuer_delays_all_who_sign_in_once_and_not_one_after_the_other(
    key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podium_monitor.sign_in.issuer.ANSWER_SECONDS", 1.0)
    monkeypatch.setattr("podium_monitor.sign_in.kept.PAUSE_SECONDS", 600.0)
    async with Provider(key).running() as provider, browsing(provider, Rights()) as browser:
        configuration = "/.well-known/openid-configuration"
        provider.silent.add(configuration)
        answers = await asyncio.gather(*(browser.get("/sign-in") for _ in range(30)))
        assert {status for status, _, _ in answers} == {503}
        status, body, _ = await browser.get("/sign-in")
        assert (status, "does not answer" in body, provider.url in body) == (503, True, False)
        assert provider.asked[configuration] == 1  # all waited for one answer, and the last for none


async def test_who_signs_in_does_not_wait_for_an_issuer_that_was_asked_an_hour_ago(
    key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podium_monitor.sign_in.issuer.ANSWER_SECONDS", 120.0)
    monkeypatch.setattr("podium_monitor.sign_in.kept.FRESH_SECONDS", 0.0)
    monkeypatch.setattr("podium_monitor.sign_in.kept.PAUSE_SECONDS", 0.0)
    async with Provider(key).running() as provider, browsing(provider, Rights()) as browser:
        assert (await browser.get(await browser.signed_in()))[0] == 303
        provider.silent |= {"/.well-known/openid-configuration", "/keys"}
        async with asyncio.timeout(60):  # an answer may take two minutes
            assert (await browser.get(await browser.signed_in()))[0] == 303


async def test_codes_that_the_issuer_does_not_exchange_hold_up_no_page(
    key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podium_monitor.sign_in.issuer._TURN_SECONDS", 0.5)
    async with Provider(key).running() as provider, browsing(provider, Rights()) as browser:
        back = await browser.signed_in()
        provider.silent.add("/token")
        coming = [asyncio.ensure_future(browser.get(back)) for _ in range(40)]
        assert (await browser.get("/sign-in"))[0] == 303
        assert {status for status, _, _ in await asyncio.gather(*coming)} == {503}
        assert provider.asked["/token"] <= 32
