"""A source's token follows from the collector key, and nothing else opens the door."""

import pytest

from podium_crds.capture import capture_token, label_token
from podium_monitor.credentials import Refused, Source, authenticated_source, labelling_source

KEY = b"k" * 32
SOURCE = "shop/churn/0f1e-uid"


def test_the_token_is_what_the_operator_writes_into_the_serving_secret() -> None:
    # HMAC-SHA256 of 32 times 0x6b over "shop/churn/0f1e-uid" in base64url, as OpenSSL computes it.
    assert capture_token(KEY, SOURCE) == "Ahi86iDZsTeBz6om1rZ3OI1wta8OB3-Z6BogcK8bwY4="


def test_a_source_with_its_token_is_known() -> None:
    token = capture_token(KEY, SOURCE)
    source = authenticated_source(KEY, f"Bearer {token}", SOURCE)
    assert source == Source("shop", "churn", "0f1e-uid")
    assert source.event_source == "/namespaces/shop/modeldeployments/churn"
    assert authenticated_source(KEY, f"bearer {token.rstrip('=')}", SOURCE) == source


@pytest.mark.parametrize(
    ("authorization", "source"),
    [
        pytest.param("", SOURCE, id="no-token"),
        pytest.param("Bearer ", SOURCE, id="an-empty-token"),
        pytest.param(f"Bearer {capture_token(KEY, 'shop/churn/other')}", SOURCE, id="of-another-uid"),
        pytest.param(f"Bearer {capture_token(b'other' * 8, SOURCE)}", SOURCE, id="of-another-key"),
        pytest.param(f"Basic {capture_token(KEY, SOURCE)}", SOURCE, id="another-scheme"),
        pytest.param("Bearer ü", SOURCE, id="not-ascii"),
        pytest.param(f"Bearer {capture_token(KEY, '../x/uid')}", "../x/uid", id="a-way-out-of-the-lake"),
        pytest.param(f"Bearer {capture_token(KEY, 'shop/churn')}", "shop/churn", id="no-uid"),
        pytest.param(f"Bearer {capture_token(KEY, 'Shop/churn/u')}", "Shop/churn/u", id="no-kubernetes-name"),
        pytest.param("Bearer x", "", id="no-source"),
    ],
)
def test_anything_else_is_refused(authorization: str, source: str) -> None:
    with pytest.raises(Refused, match="header"):
        authenticated_source(KEY, authorization, source)


def test_a_label_token_says_whose_it_is() -> None:
    # HMAC-SHA256 of 32 times 0x6b over "podium labels shop/churn/0f1e-uid" in base64url, as OpenSSL computes it.
    token = "shop/churn/0f1e-uid/iVLLReVWhkaEW_3EJa4H2fiAWC6y2CVp526cfUdtX6U="
    assert label_token(KEY, SOURCE) == token
    assert labelling_source(KEY, f"Bearer {token}") == Source("shop", "churn", "0f1e-uid")
    assert labelling_source(KEY, f"bearer {token.rstrip('=')}") == Source("shop", "churn", "0f1e-uid")


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param("", id="no-token"),
        pytest.param("Bearer ", id="an-empty-token"),
        pytest.param(f"Basic {label_token(KEY, SOURCE)}", id="another-scheme"),
        pytest.param(f"Bearer {capture_token(KEY, SOURCE)}", id="a-capture-token"),
        pytest.param(f"Bearer {SOURCE}/{capture_token(KEY, SOURCE)}", id="a-capture-token-in-its-clothes"),
        pytest.param("Bearer " + label_token(KEY, SOURCE).replace("churn", "fraud"), id="of-another-deployment"),
        pytest.param(f"Bearer {label_token(b'other' * 8, SOURCE)}", id="of-another-key"),
        pytest.param(f"Bearer {label_token(KEY, '../x/uid')}", id="a-way-out-of-the-lake"),
        pytest.param("Bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln", id="of-kubernetes"),
    ],
)
def test_labels_need_the_label_token(authorization: str) -> None:
    with pytest.raises(Refused, match="label token"):
        labelling_source(KEY, authorization)
