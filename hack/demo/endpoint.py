"""The deployed endpoint, as an app developer's first script would call it."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Reply:
    status: int
    text: str

    def json(self) -> Any:
        return json.loads(self.text)


def get(url: str, timeout: float = 5.0) -> Reply:
    return _open(urllib.request.Request(url), timeout)


def post(url: str, body: Any, timeout: float = 5.0) -> Reply:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    return _open(request, timeout)


def _open(request: urllib.request.Request, timeout: float) -> Reply:
    """Status 0 where nobody answered."""
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return Reply(response.status, response.read().decode())
    except urllib.error.HTTPError as error:
        return Reply(error.code, error.read().decode(errors="replace"))
    except OSError as error:
        return Reply(0, str(error))
