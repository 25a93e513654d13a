"""What a user can do something about. `main` prints these as one sentence; other errors are bugs and show a traceback."""

EXIT_REFUSED = 1
"""The model was looked at and refused: parity, golden rows, transform."""
EXIT_USAGE = 2
"""The command cannot be carried out as typed: a file is missing, a column unknown, a name wrong. Same as typer's own."""
EXIT_UNREACHABLE = 3
"""The registry did not answer, or not as a registry does. Trying later may help."""


class UserError(Exception):
    """Says in one sentence what is wrong, where, and what would be right."""

    exit_code = EXIT_USAGE


class ModelRefused(UserError):
    """The model itself is at fault: it cannot be converted, or does not answer as the training library does."""

    exit_code = EXIT_REFUSED


class RegistryUnreachable(UserError):
    exit_code = EXIT_UNREACHABLE
