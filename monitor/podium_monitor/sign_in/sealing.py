"""What a browser keeps for us and can neither read nor change: sessions, and sign-ins under way.

Fernet (AES-128-CBC, HMAC-SHA256, with the time of sealing). Each purpose has its own key, so that a sign-in under way can
never stand for a session.
"""

import base64
import hmac
import json
from typing import Any

from cryptography.fernet import Fernet, InvalidToken


class Sealer:
    def __init__(self, key: bytes, purpose: str) -> None:
        derived = hmac.digest(key, f"podium dashboard {purpose}".encode(), "sha256")
        self._fernet = Fernet(base64.urlsafe_b64encode(derived))

    def seal(self, content: dict[str, Any]) -> str:
        return self._fernet.encrypt(json.dumps(content, separators=(",", ":")).encode()).decode()

    def opened(self, text: str, seconds: int) -> dict[str, Any] | None:
        """None: it is not ours, was changed, or is older than `seconds`."""
        try:
            content = json.loads(self._fernet.decrypt(text.encode(), ttl=seconds))
        except (InvalidToken, UnicodeEncodeError, ValueError):
            return None
        return content if isinstance(content, dict) else None
