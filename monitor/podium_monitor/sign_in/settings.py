"""How people sign in, as the environment says it. Read once, in the evaluator's start."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from podium_monitor.settings import InvalidSettings, required

PROXY_PORT = 8443
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_DAY = 86_400


@dataclass(frozen=True)
class Closed:
    """Nobody was told how to sign in: nobody sees anything."""


@dataclass(frozen=True)
class Open:
    """Whoever reaches the port sees every namespace. For demonstrations."""


@dataclass(frozen=True)
class Oidc:
    """OpenID Connect, authorization code flow with PKCE."""

    issuer: str
    client_id: str
    address: str
    """Where browsers find the dashboard, without a slash at the end: the issuer sends them back there."""
    session_key: bytes = field(repr=False)
    client_secret: str = field(default="", repr=False)
    """Empty: a public client, which PKCE protects."""
    scopes: str = "openid profile email"
    user_claim: str = "email"
    user_prefix: str = ""
    """As the API server's own: what RoleBindings name is prefix and claim."""
    groups_claim: str = "groups"
    groups_prefix: str = ""
    ca_file: Path | None = None
    """Absent: the system's authorities."""
    session_seconds: int = 8 * 3600


@dataclass(frozen=True)
class Proxy:
    """A proxy has signed people in and says who they are, over mutual TLS on a port of its own."""

    names: frozenset[str]
    """Subject alternative names (DNS or URI) of the proxy's certificate; one must be there exactly."""
    ca_file: Path
    """Signs the proxy's certificate. Better an authority that signs nothing else."""
    certificate: Path
    """Of this server, with its key: as in a kubernetes.io/tls Secret, read again when they change."""
    key: Path
    port: int = PROXY_PORT
    user_header: str = "x-forwarded-user"
    groups_header: str = "x-forwarded-groups"
    """Names separated by commas."""


SignInSettings = Closed | Open | Oidc | Proxy


def sign_in_settings_from(environment: Mapping[str, str], session_key: bytes) -> SignInSettings:
    """Of the variables PODIUM_SIGN_IN, PODIUM_OIDC_…, PODIUM_PROXY_… and PODIUM_DASHBOARD_URL. `session_key`: a secret that
    all replicas share. Raises InvalidSettings naming the first variable that is missing or wrong."""
    mode = environment.get("PODIUM_SIGN_IN", "")
    if mode == "":
        return Closed()
    if mode == "Open":
        return Open()
    if mode == "Oidc":
        return _oidc(environment, session_key)
    if mode == "Proxy":
        return _proxy(environment)
    raise InvalidSettings(f"PODIUM_SIGN_IN is {mode!r}, must be Oidc, Proxy or Open (everybody sees everything)")


def _oidc(environment: Mapping[str, str], session_key: bytes) -> Oidc:
    scopes = environment.get("PODIUM_OIDC_SCOPES") or "openid profile email"
    if "openid" not in scopes.split():
        raise InvalidSettings(f"PODIUM_OIDC_SCOPES is {scopes!r}, must contain openid")
    ca_file = environment.get("PODIUM_OIDC_CA_FILE")
    return Oidc(
        issuer=_secure(environment, "PODIUM_OIDC_ISSUER"),
        client_id=required(environment, "PODIUM_OIDC_CLIENT_ID"),
        address=_secure(environment, "PODIUM_DASHBOARD_URL").rstrip("/"),
        session_key=session_key,
        client_secret=_secret(environment, "PODIUM_OIDC_CLIENT_SECRET_FILE"),
        scopes=scopes,
        user_claim=environment.get("PODIUM_OIDC_USER_CLAIM") or "email",
        user_prefix=environment.get("PODIUM_OIDC_USER_PREFIX", ""),
        groups_claim=environment.get("PODIUM_OIDC_GROUPS_CLAIM") or "groups",
        groups_prefix=environment.get("PODIUM_OIDC_GROUPS_PREFIX", ""),
        ca_file=_file(environment, "PODIUM_OIDC_CA_FILE") if ca_file else None,
        session_seconds=_whole(environment, "PODIUM_SESSION_SECONDS", 8 * 3600, 60, 30 * _DAY),
    )


def _proxy(environment: Mapping[str, str]) -> Proxy:
    names = frozenset(name.strip() for name in required(environment, "PODIUM_PROXY_NAMES").split(",") if name.strip())
    if not names:
        raise InvalidSettings("PODIUM_PROXY_NAMES is empty, must be names of the proxy's certificate, separated by commas")
    return Proxy(
        names=names,
        ca_file=_file(environment, "PODIUM_PROXY_CA_FILE"),
        certificate=_file(environment, "PODIUM_PROXY_TLS_CERTIFICATE_FILE"),
        key=_file(environment, "PODIUM_PROXY_TLS_KEY_FILE"),
        port=_whole(environment, "PODIUM_PROXY_PORT", PROXY_PORT, 1, 65_535),
        user_header=(environment.get("PODIUM_PROXY_USER_HEADER") or "x-forwarded-user").lower(),
        groups_header=(environment.get("PODIUM_PROXY_GROUPS_HEADER") or "x-forwarded-groups").lower(),
    )


def _secure(environment: Mapping[str, str], name: str) -> str:
    """https, or http on this machine itself."""
    address = required(environment, name)
    parts = urlsplit(address)
    if parts.query or parts.fragment or not parts.hostname:
        raise InvalidSettings(f"{name} is {address!r}, must be an address without query and fragment, as https://host/path")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise InvalidSettings(f"{name} is {address!r}, must begin with https:// (http:// only on localhost)")
    return address


def _file(environment: Mapping[str, str], name: str) -> Path:
    path = Path(required(environment, name))
    if not path.is_file():
        raise InvalidSettings(f"{name} is {str(path)!r}, must be a file")
    return path


def _secret(environment: Mapping[str, str], name: str) -> str:
    return _file(environment, name).read_text(encoding="utf-8").strip() if environment.get(name) else ""


def _whole(environment: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    given = environment.get(name) or str(default)
    if not given.isascii() or not given.isdigit() or not least <= int(given) <= most:
        raise InvalidSettings(f"{name} is {given!r}, must be a whole number from {least} to {most}")
    return int(given)
