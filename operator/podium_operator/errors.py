"""What can go wrong between the operator and the API server, by what to do next. Imports no client."""


class ClusterError(Exception):
    """An API call that did not do what was asked. `what` is the call (`apply Service retention/churn`)."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(what, why)
        self.what, self.why = what, why

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"


class NotFound(ClusterError):
    """The object, or its namespace, is not there."""


class Conflict(ClusterError):
    """The object changed since it was read, or its uid is another one. Read again, decide again."""


class AlreadyExists(Conflict):
    """Another create was first."""


class Forbidden(ClusterError):
    """RBAC, admission or quota says no. Retrying helps only after a person changed something."""


class Invalid(ClusterError):
    """The API server refuses the object as it is written: a fault of ours, or of a value we passed on."""


class Unavailable(ClusterError):
    """No answer, or one that says: later. For a write with `outcome_unknown` it may have happened: read before going on."""

    def __init__(self, what: str, why: str, *, outcome_unknown: bool = False) -> None:
        super().__init__(what, why)
        self.args = (what, why, outcome_unknown)
        self.outcome_unknown = outcome_unknown


class LeaseLost(Exception):
    """This process may not act any more: somebody else may be leading. It ends at once."""
