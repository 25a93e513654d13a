"""The world from a folder of manifests."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor_fixtures import until
from podium_monitor.manifests import Manifests
from podium_monitor.objects import Address, Catalogue


def deployment(name: str = "churn", namespace: str | None = "shop", **changes: Any) -> dict[str, Any]:
    spec = {
        "champion": {"modelVersionRef": {"name": "churn-3"}},
        "challengers": [{"name": "trees", "modelVersionRef": {"name": "churn-4"}, "mode": "Shadow"}],
    }
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "podium.dev/v1alpha1", "kind": "ModelDeployment", "metadata": metadata, "spec": spec, **changes}


def version(name: str = "churn-3", namespace: str = "shop") -> dict[str, Any]:
    return {
        "apiVersion": "podium.dev/v1alpha1",
        "kind": "ModelVersion",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"artifact": {"uri": "oci://registry.example.com/churn", "digest": "sha256:" + "0" * 64}},
    }


def written(folder: Path, name: str, *documents: dict[str, Any]) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump_all(documents))
    return path


def test_a_deployment_comes_with_the_versions_that_it_names(tmp_path: Path) -> None:
    written(tmp_path, "a.yaml", version(), version("churn-4"), version("churn-5"), version("churn-4", "elsewhere"))
    written(tmp_path, "deep/b.yml", deployment(status={"epoch": 3}), {"apiVersion": "v1", "kind": "Secret"})
    world = Manifests(tmp_path)
    [found] = world.deployments()
    assert (found.namespace, found.name, found.uid) == ("shop", "churn", "churn")
    assert sorted(found.versions) == ["churn-3", "churn-4"]
    assert found.status is not None
    assert found.status.epoch == 3
    assert world.why_not_ready == ""
    assert world.find("shop", "churn") == found
    assert world.find("shop", "fraud") is None


def test_a_version_that_serves_still_is_among_them_though_the_spec_names_it_no_more(tmp_path: Path) -> None:
    champion = {"modelVersion": "churn-2", "digest": "sha256:2", "since": "2026-11-21T00:00:00Z", "replicas": 1}
    written(tmp_path, "a.yaml", deployment(status={"champion": champion}), version("churn-2"))
    assert list(Manifests(tmp_path).deployments()[0].versions) == ["churn-2"]


def test_deployments_are_told_by_namespace_and_name_and_a_list_is_its_items(tmp_path: Path) -> None:
    items = [deployment("b"), deployment("a"), deployment("c", namespace=None)]
    written(tmp_path, "list.json", {"apiVersion": "v1", "kind": "List", "items": items})
    assert [(found.namespace, found.name) for found in Manifests(tmp_path).deployments()] == [
        ("default", "c"),
        ("shop", "a"),
        ("shop", "b"),
    ]


def test_fields_of_a_newer_crd_are_dropped(tmp_path: Path) -> None:
    newer = deployment(status={"epoch": 3, "mood": "good", "conditions": []})
    newer["spec"]["explain"] = {"by": "magic"}
    newer["spec"]["serving"] = {"replicas": 2, "mesh": True, "template": {"resources": {"limits": {"fpga": 1, "cpu": "1"}}}}
    newer["spec"]["challengers"][0]["weight"] = 3
    written(tmp_path, "a.yaml", newer)
    [found] = Manifests(tmp_path).deployments()
    assert found.spec.serving.replicas == 2
    resources = found.spec.serving.template.resources
    assert resources is not None
    assert resources.limits is not None
    assert resources.limits.cpu == "1"
    assert found.status is not None
    assert found.status.epoch == 3


def test_one_bad_object_or_file_hides_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bad = deployment("bad")
    bad["spec"]["challengers"][0]["mode"] = "Telepathy"
    unnamed = {"apiVersion": "podium.dev/v1alpha1", "kind": "ModelVersion", "metadata": None}
    written(tmp_path, "a.yaml", bad, unnamed, deployment("good", status={"epoch": "many"}))
    (tmp_path / "b.yaml").write_text("a: [")
    (tmp_path / "c.yaml").write_bytes(b"\xff\xfe\x00")
    [found] = Manifests(tmp_path).deployments()
    assert (found.name, found.status) == ("good", None)
    assert "ModelDeployment shop/bad cannot be read: spec: challengers.0.mode" in caplog.text
    assert "b.yaml is left out" in caplog.text


@pytest.mark.parametrize(
    "metadata",
    [{"name": "odd", "annotations": [1]}, {"name": "odd", "annotations": "x", "uid": 3, "creationTimestamp": 4}],
)
def test_odd_metadata_is_no_reason_to_fail(metadata: dict[str, Any], tmp_path: Path) -> None:
    written(tmp_path, "a.yaml", deployment(metadata=metadata), deployment(spec=[{"champion": {}}]), deployment("good"))
    assert [found.name for found in Manifests(tmp_path).deployments()] == ["odd", "good"]


def test_what_was_read_before_an_object_became_unreadable_stays_until_it_is_gone() -> None:
    catalogue = Catalogue()
    catalogue.put(deployment())
    catalogue.put(deployment(spec={"champion": 3}))
    address = Address("ModelDeployment", "shop", "churn")
    assert list(catalogue.unreadable) == [str(address)]
    assert catalogue.find("shop", "churn") is not None
    catalogue.remove(address)
    assert (catalogue.deployments(), catalogue.unreadable) == ((), {})


def test_a_list_of_one_namespace_leaves_the_others_alone() -> None:
    catalogue = Catalogue()
    catalogue.replace([deployment("a", "one"), deployment("b", "two")], ["ModelDeployment"], None)
    catalogue.replace([deployment("c", "two")], ["ModelDeployment"], "two")
    assert [found.name for found in catalogue.deployments()] == ["a", "c"]


def test_a_folder_that_is_not_there_is_the_reason_for_not_being_ready(tmp_path: Path) -> None:
    world = Manifests(tmp_path / "none")
    assert "there is no folder" in world.why_not_ready
    written(tmp_path, "none/a.yaml", deployment())
    world.look()
    assert (world.why_not_ready, len(world.deployments())) == ("", 1)


async def test_changed_files_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium_monitor.manifests._LOOK_SECONDS", 0.01)
    path = written(tmp_path, "a.yaml", deployment())
    world = Manifests(tmp_path)
    running = asyncio.create_task(world.run())
    written(tmp_path, "a.yaml", deployment("fraud"))
    os.utime(path, ns=(1, 1))
    await until(lambda: [found.name for found in world.deployments()] == ["fraud"])
    path.unlink()
    await until(lambda: not world.deployments())
    running.cancel()
