import pytest

from podium_operator.kinds import Key, Manifest
from podium_operator.runtime.references import References
from podium_operator.runtime.routing import keys_for

CHURN = Key("ModelDeployment", "retention", "churn")


def version_key(name: str) -> Key:
    return Key("ModelVersion", "retention", name)


def deployment(champion: str, *challengers: str) -> Manifest:
    arms = [{"name": name, "modelVersionRef": {"name": name}} for name in challengers]
    spec = {"champion": {"modelVersionRef": {"name": champion}}, "challengers": arms}
    return {"metadata": {"namespace": "retention", "name": "churn"}, "spec": spec}


def child(**labels: str) -> Manifest:
    return {"metadata": {"namespace": "retention", "name": "x", "labels": labels}}


def test_a_deployment_wakes_the_versions_that_it_begins_or_ceases_to_name() -> None:
    references = References()
    first = keys_for("ModelDeployment", deployment("churn-3", "churn-4"), gone=False, references=references)
    again = keys_for("ModelDeployment", deployment("churn-3", "churn-4"), gone=False, references=references)
    moved = keys_for("ModelDeployment", deployment("churn-4"), gone=False, references=references)
    gone = keys_for("ModelDeployment", deployment("churn-4"), gone=True, references=references)
    assert first == [CHURN, version_key("churn-3"), version_key("churn-4")]
    assert again == [CHURN]
    assert moved == [CHURN, version_key("churn-3")]
    assert gone == [CHURN, version_key("churn-4")]


def test_a_version_wakes_the_deployments_that_name_it() -> None:
    references = References()
    keys_for("ModelDeployment", deployment("churn-3"), gone=False, references=references)
    named = {"metadata": {"namespace": "retention", "name": "churn-3"}}
    elsewhere = {"metadata": {"namespace": "other", "name": "churn-3"}}
    assert keys_for("ModelVersion", named, gone=False, references=references) == [version_key("churn-3"), CHURN]
    assert keys_for("ModelVersion", elsewhere, gone=True, references=references) == [Key("ModelVersion", "other", "churn-3")]


@pytest.mark.parametrize(
    ("kind", "manifest", "keys"),
    [
        pytest.param("Pod", child(**{"podium.dev/deployment": "churn"}), [CHURN], id="child-of-a-deployment"),
        pytest.param("Pod", child(app="else"), [], id="a-strangers-pod"),
        pytest.param("Job", child(**{"podium.dev/model-version": "churn-3"}), [version_key("churn-3")], id="verification"),
        pytest.param(
            "Job",
            {
                "metadata": {
                    "namespace": "podium",
                    "name": "x",
                    "labels": {"podium.dev/model-version": "churn-3", "podium.dev/model-version-namespace": "retention"},
                }
            },
            [version_key("churn-3")],
            id="a-build-runs-in-another-namespace",
        ),
        pytest.param("Job", {"metadata": {"namespace": "x", "name": "x"}}, [], id="a-strangers-job"),
    ],
)
def test_a_child_wakes_its_owner(kind: str, manifest: Manifest, keys: list[Key]) -> None:
    assert keys_for(kind, manifest, gone=False, references=References()) == keys


def test_a_deployment_that_cannot_be_read_whole_names_what_it_can() -> None:
    manifest: Manifest = {"metadata": {"namespace": "retention", "name": "churn"}, "spec": {"champion": {}, "later": {}}}
    assert keys_for("ModelDeployment", manifest, gone=False, references=References()) == [CHURN]
