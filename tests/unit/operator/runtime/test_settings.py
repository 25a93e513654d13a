import pytest

from operator_fixtures import SCORING_IMAGE
from podium_operator.settings import SettingsError, from_environment

LEAST = {"PODIUM_NAMESPACE": "podium", "PODIUM_SCORING_IMAGE": SCORING_IMAGE, "PODIUM_OPERATOR_IMAGE": "operator:1"}


def test_lists_numbers_and_the_kubeconfig_are_read() -> None:
    more = {"PODIUM_WATCH_NAMESPACES": "a, b,", "PODIUM_WORKERS": "3", "KUBECONFIG": "/k", "PODIUM_UNKNOWN": "x"}
    settings = from_environment({**LEAST, **more})
    assert settings.watch_namespaces == ("a", "b")
    assert settings.workers == 3
    assert settings.kubeconfig == "/k"


def test_an_empty_variable_is_the_default() -> None:
    assert from_environment({**LEAST, "PODIUM_RESYNC_SECONDS": ""}).resync_seconds == 300


@pytest.mark.parametrize(
    ("change", "named"),
    [
        pytest.param({"PODIUM_SCORING_IMAGE": "scoring:latest"}, "PODIUM_SCORING_IMAGE", id="a-tag-is-no-digest"),
        pytest.param({"PODIUM_NAMESPACE": ""}, "PODIUM_NAMESPACE", id="missing"),
        pytest.param({"PODIUM_WORKERS": "many"}, "PODIUM_WORKERS", id="no-number"),
    ],
)
def test_what_does_not_fit_is_named_by_its_variable(change: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        from_environment({**LEAST, **change})
