"""The `podium` command. Wiring only: options in, one function call, a table out. Exit codes: see `podium --help`."""

import importlib.metadata
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from podium_cli.erase import erase_command
from podium_cli.errors import EXIT_USAGE, UserError

_EPILOG = (
    "Exit codes: 0 done; 1 the model was refused (it cannot be converted, or does not answer as the training library); "
    "2 the command cannot be carried out as typed; 3 the registry, or the collector, did not answer as one does."
)
app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog=_EPILOG,
    help="Takes a model from a notebook to Kubernetes: package it, try it here, push it.",
)
_out = Console(highlight=False)
_errors = Console(stderr=True, highlight=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        _out.print(f"podium {importlib.metadata.version('podium')}")
        raise typer.Exit


@app.callback()
def _podium(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command("package", epilog=_EPILOG)
def package_command(
    model: Annotated[str, typer.Argument(help="A fitted pipeline (pipeline.pkl, or module:attribute), or model.onnx.")],
    name: Annotated[str, typer.Option(help="The model's name: lower-case letters, digits, '-'.")],
    version: Annotated[str, typer.Option(help="The version's name, e.g. 1.")],
    out: Annotated[Path, typer.Option(help="The folder to write; must be empty or absent.")],
    sample: Annotated[
        Path | None, typer.Option(help="Training rows: .csv, .parquet or .jsonl. Needed unless the model is .onnx.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="The sample's column with the truth, for training metrics.")] = None,
    validation: Annotated[Path | None, typer.Option(help="Rows that training did not see, for training metrics.")] = None,
    requirement: Annotated[
        list[str] | None, typer.Option(help="A pinned pip requirement of transform.py. May be repeated.")
    ] = None,
    transform: Annotated[
        Path | None, typer.Option(help="Python file with before(columns) and/or after(outputs, inputs).")
    ] = None,
    absolute_tolerance: Annotated[
        float, typer.Option(min=0, help="An answer x may differ by this + relative * |x|.")
    ] = 1e-5,
    relative_tolerance: Annotated[float, typer.Option(min=0)] = 1e-4,
    documentation: Annotated[Path | None, typer.Option(help="A text that travels with the model, e.g. README.md.")] = None,
    floats: Annotated[
        str, typer.Option(help="Sample, FP32 or FP64: the wire's type of float columns. Sample: as the rows have it.")
    ] = "Sample",
    force: Annotated[bool, typer.Option("--force", help="Replace a package that is in --out.")] = False,
) -> None:
    """Package a model: convert it to ONNX, prove that it answers as the training library does, write the folder.

    A pickle runs code when it is loaded. Podium loads it here, on your machine, and nowhere else: the package holds ONNX.
    Load only pickles that you trust. Classes that it refers to are looked for in the current folder too.
    """
    from podium_cli.commands import PackageOptions, package

    options = PackageOptions(
        model=model,
        name=name,
        version=version,
        out=out,
        sample=sample,
        target=target,
        validation=validation,
        requirements=requirement or [],
        transform=transform,
        absolute=absolute_tolerance,
        relative=relative_tolerance,
        documentation=documentation,
        floats=floats,
        force=force,
    )
    package(options, _out)


@app.command("push", epilog=_EPILOG)
def push_command(
    folder: Annotated[Path, typer.Argument(help="A folder made by `podium package`.")],
    address: Annotated[str, typer.Argument(help="oci://registry/repository:tag. Without a tag: the package's version.")],
    manifest: Annotated[str | None, typer.Option(help="Write a ready ModelVersion to this file; '-' prints it.")] = None,
    name: Annotated[str | None, typer.Option(help="The ModelVersion's name. Default: <package>-<version>.")] = None,
    namespace: Annotated[str | None, typer.Option(help="The ModelVersion's namespace. Default: kubectl's.")] = None,
    cluster_registry: Annotated[
        str | None,
        typer.Option(help="The registry's host as the cluster calls it, when that differs from the address here."),
    ] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Plain HTTP, to this machine or a private network.")] = False,
) -> None:
    """Push a package to an OCI registry and print its digest. Credentials are those of `docker login`."""
    from podium_cli.commands import PushOptions, push

    push(PushOptions(folder, address, manifest, name, namespace, cluster_registry, insecure), _out, _errors)


@app.command("serve", epilog=_EPILOG)
def serve_command(
    folders: Annotated[list[Path] | None, typer.Argument(help="Folders made by `podium package`.")] = None,
    repository: Annotated[Path | None, typer.Option(help="A folder with a package per folder in it.")] = None,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8080,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    grpc_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Speak gRPC too, on this port.")] = None,
    model_control: Annotated[bool, typer.Option(help="Let clients load and unload models.")] = False,
    workers: Annotated[int, typer.Option(min=1, max=32, help="Processes, each with its own copy of the models.")] = 1,
) -> None:
    """Answer requests on this machine with the same server as in the cluster. The model's page is at /docs."""
    from podium_cli.local import Served, serve

    serve(Served(folders or [], repository, host, port, grpc_port, model_control, workers))


@app.command("compare-scores", epilog=_EPILOG)
def compare_scores_command(
    file: Annotated[Path, typer.Argument(help="Rows with a target and two scores: .csv, .parquet or .jsonl, oldest first.")],
    target: Annotated[str, typer.Option(help="The column with the truth: 0 or 1.")],
    score: Annotated[
        list[str], typer.Option(help="A column with scores of the class 1: the champion's, then again the challenger's.")
    ],
    identity: Annotated[str | None, typer.Option("--id", help="A column that must not hold a value twice.")] = None,
    loss: Annotated[str, typer.Option(help="ZeroOne, Brier, LogLoss or Rank: what the verdict compares.")] = "LogLoss",
    alpha: Annotated[float, typer.Option(min=1e-9, max=0.5, help="Chance of a false verdict, over all looks.")] = 0.05,
    minimum_improvement: Annotated[float, typer.Option(min=0, help="B must be better by more than this.")] = 0.0,
    json: Annotated[str | None, typer.Option(help="Write the figures to this file instead; '-' prints them.")] = None,
) -> None:
    """Compare two scores of the same rows: AUCs, DeLong's test, and a verdict that stays valid however often one looks."""
    from podium_cli.compare import CompareOptions, compare_scores

    compare_scores(CompareOptions(file, target, tuple(score), identity, loss, alpha, minimum_improvement, json), _out)


@app.command("evaluate", epilog=_EPILOG)
def evaluate_command(
    reference: Annotated[Path, typer.Option(help="Rows to measure against, with scores: .csv, .parquet or .jsonl.")],
    current: Annotated[Path, typer.Option(help="Rows to judge, oldest first.")],
    score: Annotated[str, typer.Option(help="The column with the score of the class 1, or the predicted value.")],
    target: Annotated[str | None, typer.Option(help="The column with the truth; empty where it is not known yet.")] = None,
    prediction: Annotated[
        str | None,
        typer.Option(help="The column with the decision, or the class. Default: score >= 0.5."),
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="Truths that came apart from the rows; needs --id.")] = None,
    identity: Annotated[str | None, typer.Option("--id", help="The column that joins rows and labels.")] = None,
    protected: Annotated[list[str] | None, typer.Option(help="A column of protected groups. May be repeated.")] = None,
    segment: Annotated[list[str] | None, typer.Option(help="A column to show performance by. May be repeated.")] = None,
    chunk_rows: Annotated[int | None, typer.Option(min=1, help="Rows of a chunk. Default: ten chunks.")] = None,
    chunk_by: Annotated[
        str | None, typer.Option(help="COLUMN:PERIOD, a time column and 15m, 6h, 1D, 2W or 1M (calendar months).")
    ] = None,
    json: Annotated[str | None, typer.Option(help="Write all figures to this file instead; '-' prints them.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with charts to this file as well.")] = None,
) -> None:
    """Judge a model's rows against a reference: performance, drift, data quality, fairness, and what explains them."""
    from podium_cli.evaluate import EvaluateOptions, evaluate
    from podium_cli.evaluation_rows import Options

    rows = Options(
        reference=reference,
        current=current,
        target=target,
        score=score,
        prediction=prediction,
        labels=labels,
        identity=identity,
        protected=protected or [],
        segments=segment or [],
    )
    evaluate(EvaluateOptions(rows, chunk_rows, chunk_by, json, html), _out, _errors)


@app.command("report", epilog=_EPILOG)
def report_command(
    deployment: Annotated[str, typer.Argument(help="NAMESPACE/NAME.")],
    out: Annotated[Path, typer.Argument(help="The file to write; its ending .html or .pdf says as what.")],
    url: Annotated[str, typer.Option(envvar="PODIUM_MONITOR_URL", help="The monitor, e.g. https://podium.example.com.")],
    kind: Annotated[str, typer.Option(help="health: how a week went. model: what a version is and how it does.")] = "health",
    week: Annotated[
        str | None, typer.Option(help="ISO year and week, as in 2026-W47. Default: the newest whole one.")
    ] = None,
    version: Annotated[str | None, typer.Option(help="A ModelVersion. Default: the champion.")] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="A Kubernetes token; else the variable PODIUM_MONITOR_TOKEN is read.")
    ] = None,
) -> None:
    """Fetch a report from the monitor: the health of a week, or all about a version."""
    from podium_cli.report import ReportOptions, report

    report(ReportOptions(deployment, kind, out, url, week, version, token_file), _out)


@app.command("feedback", epilog=_EPILOG)
def feedback_command(
    key: Annotated[str, typer.Option(help="The column with the join keys; without FILE the key itself.")],
    label: Annotated[
        str, typer.Option(help="The column with the truth; without FILE the truth itself, null to withdraw it.")
    ],
    url: Annotated[
        str,
        typer.Option(envvar="PODIUM_LABELS_URL", help="The collector: `url` in the Secret <deployment>-labels-…."),
    ],
    file: Annotated[Path | None, typer.Argument(help="Labels: .csv, .parquet or .jsonl. Without it, one is sent.")] = None,
    outcome: Annotated[
        list[str] | None, typer.Option(help="A column with a business outcome; without FILE NAME=VALUE. May be repeated.")
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(help="The column with times when the truth was seen; without FILE the time. Default: now."),
    ] = None,
    utc: Annotated[bool, typer.Option("--utc", help="Take times without an offset for UTC.")] = False,
    missing: Annotated[str, typer.Option(help="Rows without a label: Refuse, Skip, or Withdraw what was said.")] = "Refuse",
    deployment: Annotated[str | None, typer.Option(help="NAMESPACE/NAME: makes sure that the token is of this one.")] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="A file with the label token. Default: the variable PODIUM_LABEL_TOKEN.")
    ] = None,
    hash_keys: Annotated[
        bool, typer.Option("--hash-keys", help="The deployment's capture hashes join keys: hash these too.")
    ] = False,
    labelled_by: Annotated[str | None, typer.Option(help="Who or what says so, for the record.")] = None,
    retry_seconds: Annotated[float, typer.Option(min=0, help="How long a batch is tried again.")] = 300.0,
) -> None:
    """Tell the monitor what turned out to be true: the label, and business outcomes, of one prediction or of a file of them.

    A label that is sent again with its time is recorded once. A newer one replaces it, and the history is kept.
    """
    from podium_cli.feedback import FeedbackOptions, feedback

    feedback(
        FeedbackOptions(
            file=file,
            url=url,
            deployment=deployment,
            token_file=token_file,
            key=key,
            label=label,
            outcomes=outcome or [],
            time=time,
            utc=utc,
            missing=missing,
            hash_keys=hash_keys,
            labelled_by=labelled_by,
            retry_seconds=retry_seconds,
        ),
        _out,
        _errors,
    )


app.command("erase", epilog=_EPILOG)(erase_command)


def main() -> None:
    """Runs the command. A UserError becomes one sentence and its exit code; other errors are bugs and show a traceback."""
    try:
        app()
    except UserError as error:
        _errors.print(f"[red]error[/]: {escape(str(error))}", soft_wrap=True)
        sys.exit(error.exit_code)
    except OSError as error:
        _errors.print(
            f"[red]error[/]: {escape(str(error.filename or ''))}: {escape(error.strerror or str(error))}", soft_wrap=True
        )
        sys.exit(EXIT_USAGE)


if __name__ == "__main__":
    main()
