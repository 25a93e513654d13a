"""What the environment says of the sign-in, and what it is told when it is wrong."""

from pathlib import Path

import pytest

from podium_monitor.settings import InvalidSettings
from podium_monitor.sign_in.settings import Closed, Oidc, Open, Proxy, sign_in_settings_from

KEY = b"k" * 32
OIDC = {
    "PODIUM_SIGN_IN": "Oidc",
    "PODIUM_OIDC_ISSUER": "https://id.example.com/realms/one",
    "PODIUM_OIDC_CLIENT_ID": "podium",
    "PODIUM_DASHBOARD_URL": "https://podium.example.com/",
}


def test_without_a_word_the_dashboard_is_closed_and_open_must_be_said() -> None:
    assert sign_in_settings_from({}, KEY) == Closed()
    assert sign_in_settings_from({"PODIUM_SIGN_IN": "Open"}, KEY) == Open()


def test_an_issuer_with_its_defaults() -> None:
    found = sign_in_settings_from(OIDC, KEY)
    assert isinstance(found, Oidc)
    assert found.address == "https://podium.example.com"
    assert (found.user_claim, found.groups_claim, found.session_seconds) == ("email", "groups", 28_800)
    assert "kkk" not in repr(found)


def test_a_proxy_with_its_files(tmp_path: Path) -> None:
    environment = {"PODIUM_SIGN_IN": "Proxy", "PODIUM_PROXY_NAMES": "proxy.svc, spiffe://cluster/proxy"}
    for name in ("PODIUM_PROXY_CA_FILE", "PODIUM_PROXY_TLS_CERTIFICATE_FILE", "PODIUM_PROXY_TLS_KEY_FILE"):
        (tmp_path / name).touch()
        environment[name] = str(tmp_path / name)
    found = sign_in_settings_from(environment | {"PODIUM_PROXY_USER_HEADER": "X-Auth-Request-User"}, KEY)
    assert isinstance(found, Proxy)
    assert found.names == {"proxy.svc", "spiffe://cluster/proxy"}
    assert (found.user_header, found.groups_header, found.port) == ("x-auth-request-user", "x-forwarded-groups", 8443)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param({"PODIUM_SIGN_IN": "open"}, "must be Oidc, Proxy or Open", id="unknown-mode"),
        pytest.param({"PODIUM_OIDC_ISSUER": ""}, "PODIUM_OIDC_ISSUER is not set", id="no-issuer"),
        pytest.param({"PODIUM_OIDC_ISSUER": "http://id.example.com"}, "must begin with https://", id="plain-issuer"),
        pytest.param({"PODIUM_DASHBOARD_URL": "https://a.example/?x=1"}, "without query", id="address-with-query"),
        pytest.param({"PODIUM_OIDC_SCOPES": "profile"}, "must contain openid", id="no-openid"),
        pytest.param({"PODIUM_OIDC_CA_FILE": "/nowhere"}, "PODIUM_OIDC_CA_FILE is '/nowhere', must be a file", id="no-file"),
        pytest.param({"PODIUM_SESSION_SECONDS": "1"}, "from 60 to", id="too-short"),
    ],
)
def test_a_wrong_variable_is_named_with_what_would_be_right(changes: dict[str, str], says: str) -> None:
    with pytest.raises(InvalidSettings, match=says):
        sign_in_settings_from(OIDC | changes, KEY)
