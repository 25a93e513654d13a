"""`podium erase`: has the monitor forget rows by id, and waits until no reader finds them any more."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from podium_cli.errors import EXIT_UNREACHABLE, UserError

if TYPE_CHECKING:
    import requests

TOKEN_VARIABLE = "PODIUM_ERASURE_TOKEN"  # noqa: S105 - the name of a variable
_TIMEOUT_SECONDS = (10.0, 60.0)
_PAUSE_SECONDS = 1.0


class CollectorUnreachable(UserError):
    exit_code = EXIT_UNREACHABLE


def erase_command(
    url: Annotated[str, typer.Option(envvar="PODIUM_COLLECTOR_URL", help="The collector, http://…:8090.")],
    requested_by: Annotated[str, typer.Option(help="Who asks, and why: it is kept.")],
    join_key: Annotated[list[str] | None, typer.Option(help="Of predictions and labels. May be repeated.")] = None,
    request_id: Annotated[list[str] | None, typer.Option(help="A client's request id. May be repeated.")] = None,
    event_id: Annotated[list[str] | None, typer.Option(help="Of one row. May be repeated.")] = None,
    deployment: Annotated[str | None, typer.Option(help="NAMESPACE/NAME or NAMESPACE. Default: all.")] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="A file with the erasure token; else the variable PODIUM_ERASURE_TOKEN is read.")
    ] = None,
    wait_seconds: Annotated[float, typer.Option(min=0, help="How long to wait until the rows are gone.")] = 600.0,
) -> None:
    """Have rows forgotten, with their shadows and labels, in all of the lake or in a deployment's part of it.

    Exactly one kind of id. The command ends when no reader finds the rows any more; the monitor then looks for late
    rows, and keeps only hashes of the ids (docs/guide/lake.md).
    """
    ids = {"join_keys": join_key, "request_ids": request_id, "event_ids": event_id}
    given = {kind: list(values) for kind, values in ids.items() if values}
    if len(given) != 1:
        raise UserError("name the rows by one of --join-key, --request-id and --event-id")
    namespace, _, name = (deployment or "").partition("/")
    wish = {**given, "namespace": namespace, "deployment": name, "requested_by": requested_by}
    collector = _Collector(url, _token(token_file))
    state = collector.asked("POST", "/v1/erasures", wish)
    ends = time.monotonic() + wait_seconds
    while state["state"] == "Pending" and time.monotonic() < ends:
        time.sleep(_PAUSE_SECONDS)
        state = collector.asked("GET", f"/v1/erasures/{state['id']}")
    rows = ", ".join(f"{count:,} {table}" for table, count in sorted(state["rows"].items())) or "no rows"
    Console(highlight=False).print(escape(f"erasure {state['id']} is {state['state']}: {rows}"), soft_wrap=True)


class _Collector:
    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        self._token = token

    def asked(self, method: str, path: str, wish: dict[str, Any] | None = None) -> dict[str, Any]:
        """Raises UserError with what the collector says."""
        import requests  # `podium --help` does without

        headers = {"Authorization": f"Bearer {self._token}"}
        address = f"{self._url}{path}"
        try:
            answer = requests.request(
                method, address, json=wish, headers=headers, timeout=_TIMEOUT_SECONDS, allow_redirects=False
            )
        except requests.RequestException as error:
            raise CollectorUnreachable(f"the collector at {self._url} does not answer: {type(error).__name__}") from error
        if answer.status_code in (200, 202):
            return _object(answer)
        said = _object(answer).get("error", answer.reason)
        kind = CollectorUnreachable if answer.status_code >= 500 or answer.status_code == 429 else UserError
        raise kind(f"the collector answers {answer.status_code}: {said}")


def _object(answer: "requests.Response") -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}


def _token(file: Path | None) -> str:
    if file is not None:
        return file.read_text(encoding="utf-8").strip()
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token:
        raise UserError(
            f"there is no erasure token: set {TOKEN_VARIABLE} or --token-file (docs/guide/lake.md says which it is)"
        )
    return token
