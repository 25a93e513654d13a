"""From the output of a build to the few lines that a person needs, without the credentials that stood in it. Pure."""

import re
from collections.abc import Iterable, Sequence

from podium_crds.verification import MAX_REPORT_BYTES, BuildReport

_URL_LOGIN = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s@]+@")
_PIP_ERROR = re.compile(r"^\s*ERROR: (?P<text>.+)$")
_CONSTRAINT = re.compile(r"^\s*The user requested \(constraint\) (?P<text>\S+)$")
_TERMINAL_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_UNREACHABLE = re.compile(
    r"NewConnectionError|NameResolutionError|Temporary failure in name resolution|ConnectTimeoutError|ReadTimeoutError"
    r"|ProtocolError|Connection refused|Max retries exceeded|No space left on device"
)
_BUILDER = re.compile(
    r"^ ---> |^Step \d+/\d+ : |^Removing intermediate container |^The command '.+' returned a non-zero code"
)
_VERSIONS = re.compile(r"\(from versions: (?P<all>[^)]+)\)")
_NAMED_VERSIONS = 8
_LAST_LINES = 12
_MAX_SECRETS = 64


def scrubbed(text: str, secrets: Iterable[str] = ()) -> str:
    """Without the logins in URLs, and without these very words."""
    text = _URL_LOGIN.sub(r"\g<scheme>***@", _TERMINAL_COLOUR.sub("", text))
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def secrets_in(pip_conf: str) -> list[str]:
    """User names and passwords in the URLs of a pip.conf, longest first. Short ones are left: they would blot out prose."""
    found = set()
    for login in re.findall(r"://([^/\s@]+)@", pip_conf):
        found |= {login, *login.split(":", 1)}
    return sorted((word for word in found if len(word) >= 4), key=len, reverse=True)[:_MAX_SECRETS]


def failure_message(what: str, lines: Sequence[str]) -> str:
    """`what` failed: pip's own errors, then the last other lines, without the builder's account of its steps."""
    errors = [_shortened(match["text"]) for line in lines if (match := _PIP_ERROR.match(line))]
    kept = [match["text"] for line in lines if (match := _CONSTRAINT.match(line))]
    hints = [f"the scoring image has {name} and keeps it: ask for that version, or for none" for name in kept]
    others = [line.rstrip() for line in lines if line.strip() and not _PIP_ERROR.match(line) and not _BUILDER.match(line)]
    reasons = "; ".join(dict.fromkeys([*hints, *errors]))
    said = f"{what}: {reasons}" if reasons else what
    return "\n".join([said, *(["The last lines were:", *others[-_LAST_LINES:]] if others else [])])


def is_retryable(lines: Sequence[str]) -> bool:
    """Whether the package index, not the requirement, was the trouble. pip says of an index that it cannot reach that it has
    no versions, so the warnings before that tell."""
    return any(_UNREACHABLE.search(line) for line in lines)


def fitted(report: BuildReport) -> bytes:
    """The report as JSON, its message cut from the middle until it fits a termination message."""
    while len(content := report.model_dump_json().encode()) > MAX_REPORT_BYTES:
        surplus = len(content) - MAX_REPORT_BYTES
        report = report.model_copy(update={"message": cut(report.message, max(0, len(report.message) - surplus - 16))})
    return content


def _shortened(error: str) -> str:
    """pip lists every version there ever was; the newest few tell which would be right."""
    return _VERSIONS.sub(lambda found: f"(from versions: {_newest(found['all'])})", error)


def _newest(versions: str) -> str:
    known = versions.split(", ")
    return ", ".join(["...", *known[-_NAMED_VERSIONS:]] if len(known) > _NAMED_VERSIONS else known)


def cut(text: str, length: int) -> str:
    """At most `length` characters: the beginning, which says what failed, and the end, which says why."""
    if len(text) <= length:
        return text
    head = length // 3
    return f"{text[:head]} … {text[len(text) - max(0, length - head - 3) :]}"[:length]
