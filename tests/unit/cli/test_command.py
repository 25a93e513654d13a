"""The command as a user types it: what it prints, and how it ends."""

import pickle
import sys
from pathlib import Path

import pytest
import yaml
from sklearn.linear_model import LogisticRegression

from cli_fixtures import customers, fitted, left, sum_model
from podium_cli.errors import UserError
from podium_cli.local import Served, server_command
from podium_cli.main import main
from podium_cli.references import Reference, model_version, parsed_reference


def podium(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["podium", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data scientist's folder: a pickle whose class lives beside it, its rows, a bare model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "my_models.py").write_text(
        "from sklearn.linear_model import LogisticRegression\nclass Mine(LogisticRegression):\n    pass\nfitted = {}\n"
    )
    customers().assign(gone=left(customers())).to_csv("rows.csv", index=False)
    (tmp_path / "pipeline.pkl").write_bytes(pickle.dumps(fitted(LogisticRegression(max_iter=2000))))
    sum_model(tmp_path / "model.onnx")
    return tmp_path


def test_a_pickle_is_packaged_and_the_summary_says_what_to_type_next(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (workplace / "README.md").write_text("# Who leaves?\n")
    options = ["--name", "churn", "--version", "1", "--out", "churn-1", "--sample", "rows.csv", "--target", "gone"]
    assert podium(monkeypatch, "package", "pipeline.pkl", *options, "--documentation", "README.md") == 0
    printed = capsys.readouterr().out
    assert "409 rows answered like scikit-learn" in printed
    assert "auc 0." in printed
    assert "podium serve churn-1" in printed
    assert yaml.safe_load((workplace / "churn-1" / "podium.yaml").read_text())["documentation"] == "# Who leaves?\n"


def test_a_bare_model_is_packaged_with_four_words(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert podium(monkeypatch, "package", "model.onnx", "--name", "sum", "--version", "1", "--out", "sum-1") == 0
    assert "golden rows are made up" in capsys.readouterr().out
    assert (workplace / "sum-1" / "manifest.json").is_file()


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (
            ["model.onnx", "--target", "gone"],
            2,
            "--target is for pipelines; of a bare ONNX file there is no training library",
        ),
        (["gone.pkl"], 2, "error: there is no file gone.pkl"),
        (["pipeline.pkl", "--sample", ""], 2, "name them with --sample rows.csv or rows.parquet"),
        (["my_models:nothing", "--sample", "rows.csv"], 2, "module 'my_models' has no attribute 'nothing'"),
        (["my_models:fitted", "--sample", "rows.csv"], 2, "a dict has no predict"),
        (["no_module:x", "--sample", "rows.csv"], 2, "module 'no_module' cannot be imported from"),
        (["word", "--sample", "rows.csv"], 2, "'word' is neither a file ending in"),
        (["pipeline.pkl", "--sample", "rows.txt"], 2, "there is no file rows.txt"),
        (["pipeline.pkl", "--sample", "my_models.py"], 2, "is no table that can be read; give .csv, .parquet or .jsonl"),
        (["my_models.py", "--sample", "rows.csv"], 2, "my_models.py cannot be unpickled"),
        (["pipeline.pkl", "--sample", "rows.csv", "--floats", "FP8"], 2, "--floats 'FP8' is none of Sample, FP32, FP64"),
        (
            ["pipeline.pkl", "--sample", "rows.csv", "--absolute-tolerance", "0", "--relative-tolerance", "0"],
            1,
            "ONNX Runtime answers",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_mistake_is_one_sentence_and_an_exit_code(
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    sentence: str,
) -> None:
    options = ["--name", "churn", "--version", "1", "--out", "out"]
    words = [word for word in words if word] if "" not in words else words[:1]
    assert podium(monkeypatch, "package", *words, *options) == code
    printed = capsys.readouterr()
    assert sentence in printed.err
    assert "Traceback" not in printed.err
    assert not (workplace / "out").exists()


def test_a_mismatch_shows_the_worst_rows_before_the_sentence(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--name", "churn", "--version", "1", "--out", "out", "--sample", "rows.csv"]
    assert (
        podium(monkeypatch, "package", "pipeline.pkl", *options, "--absolute-tolerance", "0", "--relative-tolerance", "0")
        == 1
    )
    printed = capsys.readouterr().out
    for heading in ("worst rows", "expected", "got", "difference", "inputs"):
        assert heading in printed


def test_a_pickle_of_a_class_in_the_current_folder_is_found(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import my_models  # type: ignore[import-not-found]  # written by the fixture

    (workplace / "mine.pkl").write_bytes(pickle.dumps(fitted(my_models.Mine(max_iter=2000))))
    monkeypatch.delitem(sys.modules, "my_models")
    options = ["--name", "churn", "--version", "1", "--out", "out", "--sample", "rows.csv"]
    assert podium(monkeypatch, "package", "mine.pkl", *options) in (0, 1)  # found; whether it converts is another matter


def test_a_pickle_of_a_class_that_is_nowhere_says_so(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (workplace / "lost.pkl").write_bytes(b"cno_such_module\nThing\n.")
    options = ["--name", "churn", "--version", "1", "--out", "out", "--sample", "rows.csv"]
    assert podium(monkeypatch, "package", "lost.pkl", *options) == 2
    assert "refers to code that is not importable here (No module named 'no_such_module')" in capsys.readouterr().err


def test_the_version_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert podium(monkeypatch, "--version") == 0
    assert capsys.readouterr().out.startswith("podium ")


def test_help_says_where_a_pickle_is_loaded_and_what_exit_codes_mean(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert podium(monkeypatch, "package", "--help") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "Podium loads it here, on your machine, and nowhere else" in printed
    assert "Exit codes: 0 done" in printed


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("oci://registry:5000/models/churn:3", Reference("registry:5000", "models/churn", "3")),
        ("oci://127.0.0.1:5000/churn", Reference("127.0.0.1:5000", "churn", "1")),
        ("oci://registry.example.com/a/b/c:x.y_z-1", Reference("registry.example.com", "a/b/c", "x.y_z-1")),
    ],
)
def test_an_address_has_a_host_a_repository_and_a_tag(text: str, reference: Reference) -> None:
    assert parsed_reference(text, default_tag="1") == reference


@pytest.mark.parametrize(
    "text", ["registry/churn", "oci://registry", "oci://registry/Churn:1", "oci://r/c@sha256:00", "oci://r/c:", ""]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"is no registry address; write oci://<host>\[:<port>\]/<repository>\[:<tag>\]"):
        parsed_reference(text, default_tag="1")


def test_a_model_version_names_digest_address_and_image(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from podium_cli.folder import read_package

    podium(monkeypatch, "package", "model.onnx", "--name", "sum", "--version", "1", "--out", "sum-1")
    package = read_package(workplace / "sum-1")
    reference = Reference("registry:5000", "sum", "1")
    plain = yaml.safe_load(model_version(package.descriptor, package.digest, reference, None, "models"))
    assert plain == {
        "apiVersion": "podium.dev/v1alpha1",
        "kind": "ModelVersion",
        "metadata": {"name": "sum-1", "namespace": "models"},
        "spec": {"artifact": {"uri": "oci://registry:5000/sum:1", "digest": package.digest}, "image": {"type": "Generic"}},
    }
    built = package.descriptor.model_copy(update={"requirements": ["x==1"]})
    assert yaml.safe_load(model_version(built, package.digest, reference, "mine", None))["spec"]["image"] == {
        "type": "Built"
    }
    with pytest.raises(UserError, match="'Mine!' cannot name a ModelVersion; give --name"):
        model_version(built, package.digest, reference, "Mine!", None)


def test_serving_runs_the_clusters_server_on_the_package(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    podium(monkeypatch, "package", "model.onnx", "--name", "sum", "--version", "1", "--out", "sum-1")
    package = Path("sum-1")
    command = server_command(Served([package], port=9000))
    assert command[1:] == ["-m", "podium_serving", "local", "--package", "sum-1", "--host", "127.0.0.1", "--port", "9000"]
    several = server_command(Served([package, package], Path("models"), "0.0.0.0", 80, grpc_port=81, model_control=True))
    assert " ".join(several[4:]) == (
        "--package sum-1 --package sum-1 --repository models --host 0.0.0.0 --port 80 --grpc-port 81 --model-control"
    )


def test_serving_something_else_is_refused(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert podium(monkeypatch, "serve", "nowhere") == 2
    assert "there is no folder nowhere; make a package with `podium package`" in capsys.readouterr().err
    assert podium(monkeypatch, "serve") == 2
    assert "nothing to serve: name a folder made by `podium package`" in capsys.readouterr().err
