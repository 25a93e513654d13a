"""How `podium feedback` sends: batch after batch, each again until it is acknowledged, refused, or given up."""

import gzip
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

from podium_cli.errors import EXIT_UNREACHABLE, UserError

_TIMEOUT_SECONDS = (10.0, 120.0)
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 15.0
_AGAIN = {408, 425, 429, 500, 502, 503, 504}
"""Statuses that another time may not have."""


class CollectorUnreachable(UserError):
    exit_code = EXIT_UNREACHABLE


class LabelsRefused(UserError):
    """Nothing of the batch was taken. `row` counts within it, from 1; None: it is not about a row."""

    def __init__(self, text: str, row: int | None = None) -> None:
        super().__init__(text)
        self.row = row


@dataclass(frozen=True)
class Acknowledged:
    recorded: int
    known: int
    """They were there already."""


class _Bearer(requests.auth.AuthBase):
    """As `auth`, not as a header: that one, requests would replace by what a .netrc says of the host."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Sender:
    """For one deployment's labels. Use as a context manager."""

    def __init__(self, url: str, token: str, *, labelled_by: str | None, hash_keys: bool, retry_seconds: float) -> None:
        self._url = labels_url(url)
        self._retry_seconds = retry_seconds
        self._params = {"join_key_hashing": "apply"} if hash_keys else {}
        self._session = requests.Session()
        self._session.auth = _Bearer(token)
        if labelled_by:
            self._session.headers["Podium-Labelled-By"] = labelled_by.encode()

    def __enter__(self) -> "Sender":
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def send(self, labels: Sequence[dict[str, Any]], report: Callable[[str], None]) -> Acknowledged:
        """Returns when the labels are durable. `report` is told why it takes long.

        Raises LabelsRefused, or CollectorUnreachable once nothing else was heard for the time that was asked for.
        """
        body = gzip.compress(b"".join(json.dumps(label, allow_nan=False).encode() + b"\n" for label in labels), 5)
        started, pauses = time.monotonic(), _pauses()
        while True:
            answer, why = self._post(body)
            if answer is not None and answer.status_code not in _AGAIN:
                return _acknowledged(self._url, answer)
            pause = max(next(pauses), _asked_to_wait(answer))
            if time.monotonic() + pause - started > self._retry_seconds:
                raise CollectorUnreachable(f"{why}; gave up after {time.monotonic() - started:.0f} s")
            report(f"{why}; trying again in {pause:.1f} s")
            time.sleep(pause)

    def _post(self, body: bytes) -> tuple[requests.Response | None, str]:
        """The answer, if there was one, and what is wrong."""
        headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        try:
            answer = self._session.post(
                self._url,
                data=body,
                params=self._params,
                headers=headers,
                timeout=_TIMEOUT_SECONDS,
                allow_redirects=False,  # the token is for this address
            )
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            raise UserError(f"--url {self._url!r} is no address: {error}") from error
        except requests.exceptions.SSLError as error:
            raise CollectorUnreachable(f"{self._url}: TLS failed: {error}") from error
        except requests.exceptions.RequestException as error:
            return None, f"{self._url} did not answer: {error}"
        return answer, f"{self._url} answered {answer.status_code}: {_said(answer)}"


def labels_url(url: str) -> str:
    """With the path of labels, if it has none. Raises UserError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"--url {url!r} is no address of a collector, as in http://podium-monitor.podium-system:8090")
    return parts._replace(path="/v1/labels").geturl() if parts.path in ("", "/") else url


def _acknowledged(url: str, answer: requests.Response) -> Acknowledged:
    found = _json(answer)
    if answer.status_code == 200 and isinstance(found.get("accepted"), int) and isinstance(found.get("duplicates"), int):
        return Acknowledged(found["accepted"], found["duplicates"])
    row = found.get("row")
    if answer.status_code in (400, 401, 413) and "error" in found:
        raise LabelsRefused(_said(answer), row if isinstance(row, int) else None)
    raise CollectorUnreachable(f"{url} answered {answer.status_code}, not as a collector does: {_said(answer)}")


def _said(answer: requests.Response) -> str:
    return str(_json(answer).get("error", answer.text[:200].strip() or answer.reason))


def _json(answer: requests.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _asked_to_wait(answer: requests.Response | None) -> float:
    given = "" if answer is None else answer.headers.get("Retry-After", "")
    return min(float(given), _LONGEST_PAUSE_SECONDS) if given.isdecimal() else 0.0


def _pauses() -> Iterator[float]:
    pause = _FIRST_PAUSE_SECONDS
    while True:
        yield pause
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
