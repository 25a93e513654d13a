"""The chart's promises: an upgrade under load loses nothing, an uninstall loses no model, `helm test` passes."""

import pytest

from demo import install
from demo.kubectl import Kubectl
from demo.load import figures
from demo.where import Where
from harness.site import Model, Site, let_pass

pytestmark = pytest.mark.e2e


def test_helm_test_passes(where: Where, installed: dict[str, str]) -> None:
    said = where.run("helm", "test", "podium", "--namespace", install.SYSTEM, "--timeout", "3m")
    assert "Succeeded" in said


def test_an_upgrade_under_load_loses_no_request(
    where: Where, installed: dict[str, str], site: Site, models: dict[str, Model]
) -> None:
    site.versions(models["sum-1"])
    site.deploy(models["sum-1"])
    site.serving(models["sum-1"])
    with site.load() as outcomes:
        install.install(where, installed, extra={"operator": {"logLevel": "DEBUG"}})
        let_pass(5)
        install.install(where, installed)
        let_pass(5)
    seen = figures(outcomes)
    assert seen.failed == 0, seen.first_errors


def test_an_uninstall_keeps_models_and_callers_and_a_new_install_finds_them(
    where: Where, installed: dict[str, str], site: Site, models: dict[str, Model]
) -> None:
    site.versions(models["sum-1"])
    site.deploy(models["sum-1"])
    epoch = site.serving(models["sum-1"])["epoch"]
    with site.load() as outcomes:
        where.run("helm", "uninstall", "podium", "--namespace", install.SYSTEM, "--wait")
        assert site.kubectl.get("mdep", "demo") is not None
        let_pass(3)
        install.install(where, installed)
        let_pass(3)
    seen = figures(outcomes)
    assert seen.failed == 0, seen.first_errors
    assert site.serving(models["sum-1"])["epoch"] == epoch
    site.versions(models["sum-2"])
    site.deploy(models["sum-2"])
    site.serving(models["sum-2"])


def test_captured_predictions_are_durable_and_none_is_missing(where: Where, site: Site, models: dict[str, Model]) -> None:
    site.versions(models["sum-1"])
    site.deploy(models["sum-1"], capture={"percent": 100})
    site.serving(models["sum-1"])
    with site.load() as outcomes:
        let_pass(5)
    answered = figures(outcomes).sent - figures(outcomes).failed
    system = Kubectl(where, install.SYSTEM)
    site.wait("every answered request is in the lake", lambda: count(system, site) == answered, 180)


def count(system: Kubectl, site: Site) -> int:
    """Rows of this deployment, as the monitor counts them from its Parquet files."""
    monitor = system.list("pods", "app.kubernetes.io/component=monitor")[0]["metadata"]["name"]
    code = (
        "import glob, os, pyarrow.parquet as pq; "
        f"folder = os.environ['PODIUM_LAKE'] + '/predictions/namespace={site.namespace}'; "
        "paths = glob.glob(folder + '/**/*.parquet', recursive=True); "
        "print(len({one for p in paths for one in pq.ParquetFile(p).read(['event_id'])[0].to_pylist()}))"
    )
    return int(system("exec", monitor, "--", "python", "-c", code).strip() or 0)
