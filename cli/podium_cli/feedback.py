"""`podium feedback`: tells the monitor what turned out to be true, of one prediction or of a file of them."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from podium_cli.errors import UserError
from podium_cli.feedback_rows import Columns, Reading, labels_in, missing_of, plain, when
from podium_cli.feedback_sending import Acknowledged, LabelsRefused, Sender

TOKEN_VARIABLE = "PODIUM_LABEL_TOKEN"  # noqa: S105 - the name of a variable
_BATCH_ROWS = 20_000
_TOKEN = re.compile(r"(?P<deployment>[^/\s]+/[^/\s]+)/[^/\s]+/[^/\s]+")

_Batch = list[tuple[int, dict[str, Any]]]
"""Rows of the file with the labels that they are."""


@dataclass(frozen=True)
class FeedbackOptions:
    """As typed. With a file, `key`, `label`, `outcomes` and `time` are columns of it; without one, they are values."""

    file: Path | None
    url: str
    deployment: str | None
    token_file: Path | None
    key: str
    label: str
    outcomes: list[str]
    time: str | None
    utc: bool
    missing: str
    hash_keys: bool
    labelled_by: str | None
    retry_seconds: float


def feedback(options: FeedbackOptions, console: Console, errors: Console) -> None:
    """Sends and prints how many were recorded. Raises UserError, naming the row and what was recorded before it."""
    now = datetime.now(UTC).isoformat()  # one for all: a batch that is sent again is the same labels
    token = _token(options)
    sender = Sender(
        options.url,
        token,
        labelled_by=options.labelled_by,
        hash_keys=options.hash_keys,
        retry_seconds=options.retry_seconds,
    )
    with sender:
        if options.file is None:
            done = sender.send([_single(options, now)], lambda line: errors.print(escape(line)))
            console.print("recorded" if done.recorded else "it was there already")
            return
        columns = Columns(options.key, options.label, tuple(options.outcomes), options.time)
        reading = Reading(options.file, columns, missing_of(options.missing), options.utc, now)
        _send_file(sender, reading, console, errors)


def _token(options: FeedbackOptions) -> str:
    """Raises UserError if it is none, or of another deployment."""
    token = options.token_file.read_text() if options.token_file else os.environ.get(TOKEN_VARIABLE, "")
    where = str(options.token_file or TOKEN_VARIABLE)
    if not token.strip():
        raise UserError(
            f"there is no label token: name a file with --token-file or set {TOKEN_VARIABLE}; the Secret "
            "<deployment>-labels-… of the deployment's namespace has it as `token`"
        )
    found = _TOKEN.fullmatch(token.strip())
    if found is None:
        raise UserError(f"{where} holds no label token: it must look like <namespace>/<deployment>/<uid>/<signature>")
    if options.deployment not in (None, found["deployment"]):
        raise UserError(f"--deployment is {options.deployment!r}, but the token of {where} is of {found['deployment']}")
    return token.strip()


def _single(options: FeedbackOptions, now: str) -> dict[str, Any]:
    outcomes: dict[str, Any] = {}
    for given in options.outcomes:
        name, equals, value = given.partition("=")
        if not name or not equals:
            raise UserError(f"--outcome {given!r}: without a file it must be <name>=<value>, as in value=12.5")
        outcomes[name] = _value("--outcome", value)
    try:
        at = when(options.time, options.utc) if options.time else now
    except ValueError as error:
        raise UserError(f"--time: {error}") from error
    return {"join_key": options.key, "label": _value("--label", options.label), "outcomes": outcomes, "time": at}


def _value(option: str, text: str) -> Any:
    """As JSON where it is a number, a boolean, null or a quoted text; else the text itself."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    try:
        return value if value == "" else plain(value)
    except ValueError as error:
        raise UserError(f"{option} {text!r}: {error}") from error


def _send_file(sender: Sender, reading: Reading, console: Console, errors: Console) -> None:
    rows = skipped = 0
    for _, label in labels_in(reading):
        rows, skipped = rows + 1, skipped + (label is None)
    sent, done, batches = 0, Acknowledged(0, 0), 0
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as progress:
        shown = progress.add_task(reading.file.name, total=rows - skipped)
        for batch in _batches(reading):
            answer = _send(sender, batch, sent, reading.file, progress.console)
            done = Acknowledged(done.recorded + answer.recorded, done.known + answer.known)
            sent, batches = sent + len(batch), batches + 1
            progress.update(shown, completed=sent)
    left_out = f", {skipped} rows without a label left out" if skipped else ""
    console.print(
        f"{escape(str(reading.file))}: {done.recorded} labels recorded, {done.known} were there already{left_out} "
        f"({rows} rows, {batches} batches)",
        soft_wrap=True,
    )


def _batches(reading: Reading) -> Iterator[_Batch]:
    batch: _Batch = []
    for number, label in labels_in(reading):
        if label is not None:
            batch.append((number, label))
        if len(batch) == _BATCH_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def _send(sender: Sender, batch: _Batch, sent: int, file: Path, errors: Console) -> Acknowledged:
    try:
        return sender.send([label for _, label in batch], lambda line: errors.print(escape(line), soft_wrap=True))
    except UserError as error:
        before = f"the {sent} labels of the rows before {batch[0][0]} are recorded" if sent else "nothing is recorded"
        text = str(error)
        if isinstance(error, LabelsRefused) and error.row is not None:
            text = text.replace(f"row {error.row}: ", f"row {batch[error.row - 1][0]} (the first is 1): ", 1)
        failed = type(error)(f"{file}: {text}; {before}")
        raise failed from error
