"""`podium report`: fetches a report from the monitor into a file."""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import requests
from rich.console import Console
from rich.markup import escape

from podium_cli.errors import UserError

TOKEN_VARIABLE = "PODIUM_MONITOR_TOKEN"  # noqa: S105 - the name of a variable
_FORMS = (".html", ".pdf")
_SECONDS = 60.0


@dataclass(frozen=True)
class ReportOptions:
    """As typed."""

    deployment: str
    kind: str
    out: Path
    url: str
    week: str | None
    version: str | None
    token_file: Path | None


def report(options: ReportOptions, console: Console) -> None:
    """Writes the file whole or not at all. Raises UserError with what the monitor says."""
    content = _fetched(_address(options), _token(options))
    partial = options.out.with_name(f".{options.out.name}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(options.out)
    except OSError as error:
        raise UserError(f"cannot write {options.out}: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
    console.print(escape(f"{options.out}: {len(content):,} bytes"))


def _address(options: ReportOptions) -> str:
    namespace, _, name = options.deployment.partition("/")
    if not namespace or not name:
        raise UserError(f"the deployment is {options.deployment!r}, must be NAMESPACE/NAME")
    if options.out.suffix not in _FORMS:
        raise UserError(f"{options.out} must end in .html or .pdf: that says what the report is printed as")
    if options.kind not in ("health", "model"):
        raise UserError(f"--kind is {options.kind!r}, must be health (of a week) or model (of a version)")
    if options.week and options.kind != "health":
        raise UserError("--week is of --kind health")
    if options.version and options.kind != "model":
        raise UserError("--version is of --kind model")
    path = f"/v1/namespaces/{quote(namespace)}/deployments/{quote(name)}/reports/{options.kind}{options.out.suffix}"
    asked = {"week": options.week, "version": options.version}
    query = "&".join(f"{name}={quote(value)}" for name, value in asked.items() if value)
    return options.url.rstrip("/") + path + (f"?{query}" if query else "")


def _token(options: ReportOptions) -> str:
    """Empty where the monitor may let everybody in."""
    if options.token_file is None:
        return os.environ.get(TOKEN_VARIABLE, "").strip()
    try:
        return options.token_file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UserError(f"cannot read {options.token_file}: {error.strerror}") from error


def _fetched(address: str, token: str) -> bytes:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        answer = requests.get(address, headers=headers, timeout=_SECONDS, allow_redirects=False)
    except requests.RequestException as error:
        raise UserError(f"the monitor at {address.partition('/v1/')[0]} does not answer: {type(error).__name__}") from error
    if answer.status_code == 200:
        return answer.content
    hint = f"; `kubectl create token` makes one for {TOKEN_VARIABLE}" if answer.status_code == 401 else ""
    raise UserError(f"the monitor answers {answer.status_code}: {_said(answer)}{hint}")


def _said(answer: requests.Response) -> str:
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return answer.reason or "no reason"
