"""Addresses, proxies and heads: every odd spelling is a row."""

import base64

import pytest

from podium_serving.web.addresses import Address, NoAddress, Origin, Proxy, address_of, proxy_of, redirected, request_head
from podium_serving.web.proxies import proxy_for

HOST = Origin("http", "host", 80)
SECURE = Origin("https", "host", 443)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://host", Address(HOST, "/")),
        ("http://host?a=b", Address(HOST, "/?a=b")),
        ("https://HOST:443/a%20b/c d?e=%2F&f=g h#part", Address(SECURE, "/a%20b/c%20d?e=%2F&f=g%20h")),
        ("http://me:secret@host:8080/ä", Address(Origin("http", "host", 8080), "/%C3%A4")),
        ("http://[::1]:8090/v1", Address(Origin("http", "::1", 8090), "/v1")),
        ("http://host/a\r\nB: c", Address(HOST, "/aB:%20c")),
    ],
)
def test_what_an_address_means(url: str, address: Address) -> None:
    assert address_of(url) == address


@pytest.mark.parametrize(
    "url", ["", "host", "ftp://host", "http://", "http:///path", "http://host:x", "http://[::1", "http://host/\udcff"]
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(NoAddress):
        address_of(url)


@pytest.mark.parametrize(
    ("origin", "authority"),
    [(HOST, "host"), (SECURE, "host"), (Origin("http", "host", 443), "host:443"), (Origin("http", "::1", 81), "[::1]:81")],
)
def test_the_usual_port_is_not_said(origin: Origin, authority: str) -> None:
    assert origin.authority == authority


@pytest.mark.parametrize(
    ("location", "leads_to", "keeps"),
    [
        ("/there", "http://host/there", True),
        ("there?c=d", "http://host/a/there?c=d", True),
        ("//host/there", "http://host/there", True),
        ("http://host:81/there", "http://host:81/there", False),
        ("https://host/there", "https://host/there", False),
        ("http://other/there", "http://other/there", False),
    ],
)
def test_a_redirect_keeps_credentials_for_the_same_origin_only(location: str, leads_to: str, keeps: bool) -> None:
    sent = {"authorization": "secret", "Cookie": "secret", "Accept": "all"}
    to, kept = redirected(address_of("http://host/a/b"), location, sent)
    assert to.absolute == leads_to
    assert kept == (sent if keeps else {"Accept": "all"})


def test_a_head_is_written_as_it_is_given_and_never_as_two() -> None:
    assert request_head("GET", "/a", {"Host": "h", "X": "é"}) == "GET /a HTTP/1.1\r\nHost: h\r\nX: é\r\n\r\n".encode()
    for bad in ("a\r\nb", "a\nb", "a\0b"):
        with pytest.raises(ValueError, match="line break"):
            request_head("GET", "/", {"X": bad})


NAMED = {
    "http_proxy": "http://p:3128",
    "HTTPS_PROXY": "q",
    "NO_PROXY": "ignored",
    "no_proxy": ".example.com, intern:8080,10.0.0.1",
}


@pytest.mark.parametrize(
    ("origin", "environment", "proxy"),
    [
        pytest.param(HOST, {}, None, id="none"),
        pytest.param(HOST, NAMED, Proxy(Origin("http", "p", 3128)), id="of-the-scheme"),
        pytest.param(SECURE, NAMED, Proxy(Origin("http", "q", 80)), id="upper-case-and-without-a-scheme"),
        pytest.param(SECURE, {"all_proxy": "http://r"}, Proxy(Origin("http", "r", 80)), id="for-all"),
        pytest.param(HOST, {"http_proxy": ""}, None, id="an-empty-one-is-none"),
        pytest.param(Origin("http", "example.com", 80), NAMED, None, id="the-domain-itself"),
        pytest.param(Origin("https", "a.b.example.com", 443), NAMED, None, id="below-the-domain"),
        pytest.param(Origin("http", "anexample.com", 80), NAMED, Proxy(Origin("http", "p", 3128)), id="another-domain"),
        pytest.param(Origin("http", "intern", 8080), NAMED, None, id="its-port"),
        pytest.param(Origin("http", "intern", 80), NAMED, Proxy(Origin("http", "p", 3128)), id="another-port"),
        pytest.param(Origin("http", "10.0.0.1", 5000), NAMED, None, id="an-address"),
        pytest.param(HOST, {"http_proxy": "p", "no_proxy": "*"}, None, id="nobody-by-proxy"),
    ],
)
def test_the_environment_says_who_is_reached_by_a_proxy(
    origin: Origin, environment: dict[str, str], proxy: Proxy | None
) -> None:
    assert proxy_for(origin, environment) == proxy


def test_a_proxys_credential_is_unescaped() -> None:
    assert proxy_of("http://me:p%40ss@proxy").authorization == "Basic " + base64.b64encode(b"me:p@ss").decode()


@pytest.mark.parametrize(
    ("host", "numeric"),
    [("10.0.0.7", True), ("::1", True), ("churn.shop.svc", False), ("10.0.0.7.example", False), ("localhost", False)],
)
def test_an_address_is_told_from_a_name(host: str, numeric: bool) -> None:
    assert Origin("http", host, 80).is_numeric is numeric
