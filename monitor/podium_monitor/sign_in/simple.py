"""The two ways of asking nobody: closed to all, and open to all."""

from starlette.requests import Request

from podium_monitor.sign_in.visitors import NotSignedIn, Visitor


class ClosedReception:
    def visitor(self, request: Request) -> Visitor:
        """Raises NotSignedIn, always."""
        raise NotSignedIn("The dashboard is closed: nobody was told how to sign in. Set PODIUM_SIGN_IN to Oidc or Proxy.")


class OpenReception:
    def visitor(self, request: Request) -> Visitor:
        return Visitor(None)
