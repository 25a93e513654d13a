"""Addresses, digests, credentials and challenges, in every spelling that is met outside."""

import base64
import json

import pytest

from podium_crds.plan import RegistryCredential
from podium_serving.fetch.errors import FetchFailed, InvalidPackage
from podium_serving.fetch.references import Challenge, credential_for, hex_of, parse_challenge, parse_reference


@pytest.mark.parametrize(
    ("uri", "base_url"),
    [
        ("oci://registry.example/churn", "https://registry.example/v2/churn"),
        ("oci://registry.example:5000/team/churn:v3", "https://registry.example:5000/v2/team/churn"),
        ("oci://10.0.0.1:5000/churn", "http://10.0.0.1:5000/v2/churn"),
        ("oci://docker.io/team/churn", "https://registry-1.docker.io/v2/team/churn"),
        ("oci://[fd00::1]:5000/churn", "https://[fd00::1]:5000/v2/churn"),
    ],
)
def test_an_address_becomes_the_registrys_url(uri: str, base_url: str) -> None:
    assert parse_reference(uri, insecure_hosts=["10.0.0.1:5000"]).base_url == base_url


@pytest.mark.parametrize(
    "uri",
    [
        "registry.example/churn",
        "https://registry.example/churn",
        "oci://registry.example",
        "oci://user:word@registry.example/churn",
        "oci://registry.example/../churn",
        "oci://registry.example/Churn",
        "oci://registry.example/churn?x=y",
        "oci://registry.example/churn:tag/more",
        "oci://registry.example/churn\n",
    ],
)
def test_anything_else_is_refused_with_the_right_form(uri: str) -> None:
    with pytest.raises(InvalidPackage, match=r"write oci://registry\[:port\]/repository\[:tag\]"):
        parse_reference(uri)


@pytest.mark.parametrize("digest", ["", "sha256:", "sha256:" + "A" * 64, "sha256:../../etc", "md5:" + "a" * 32, "a" * 64])
def test_only_hexadecimal_digits_become_part_of_a_path(digest: str) -> None:
    with pytest.raises(InvalidPackage, match="is not a digest"):
        hex_of(digest)


@pytest.mark.parametrize(
    ("header", "challenge"),
    [
        ('Basic realm="registry"', Challenge("basic", "registry")),
        (
            'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:churn:pull,push"',
            Challenge(
                "bearer",
                "https://auth.example/token",
                {"service": "registry.example", "scope": "repository:churn:pull,push"},
            ),
        ),
        (
            "Bearer realm=https://auth.example/token, service=x",
            Challenge("bearer", "https://auth.example/token", {"service": "x"}),
        ),
        (r'Basic realm="a \"quoted\" realm"', Challenge("basic", 'a "quoted" realm')),
        ("Negotiate", Challenge("negotiate")),
        ("", None),
    ],
)
def test_a_challenge_is_read(header: str, challenge: Challenge | None) -> None:
    assert parse_challenge(header) == challenge


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("host", "entries", "credential"),
    [
        ("r.example", {"r.example": {"auth": encoded("me:a:b")}}, RegistryCredential(username="me", password="a:b")),
        (
            "r.example",
            {"https://r.example/v2/": {"auth": encoded("me:word")}},
            RegistryCredential(username="me", password="word"),
        ),
        (
            "r.example",
            {"r.example": {"username": "me", "password": "word"}},
            RegistryCredential(username="me", password="word"),
        ),
        ("r.example", {"r.example": {"registrytoken": "short"}}, RegistryCredential(token="short")),
        ("r.example", {"other.example": {"auth": encoded("me:word")}}, None),
        ("r.example:5000", {"r.example": {"auth": encoded("me:word")}}, None),
        (
            "docker.io",
            {"https://index.docker.io/v1/": {"auth": encoded("me:word")}},
            RegistryCredential(username="me", password="word"),
        ),
    ],
)
def test_the_hosts_entry_is_found(host: str, entries: dict[str, object], credential: RegistryCredential | None) -> None:
    assert credential_for(host, json.dumps({"auths": entries}).encode()) == credential


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"auths": {"r.example": {"auth": "c2VjcmV0-word!"}}}', b'{"auths": {"r.example": 1}}']
)
def test_a_broken_credential_file_is_named_without_its_contents(content: bytes) -> None:
    with pytest.raises(FetchFailed, match="is not a dockerconfigjson") as caught:
        credential_for("r.example", content)
    assert "c2Vj" not in str(caught.value)
    assert caught.value.__cause__ is None
