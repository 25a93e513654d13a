"""Which Podium a process is, and whether what it runs for every request is compiled, as it ships, or its sources."""

from importlib.util import find_spec

from podium_serving import __version__


def compiled() -> bool:
    """Whether this process has the compiled modules. One library holds them all: each is, or none is."""
    found = find_spec("podium_serving.metrics")
    return found is not None and not str(found.origin).endswith(".py")


def labels() -> dict[str, str]:
    """Of `podium_build_info`."""
    return {"compiled": str(compiled()).lower(), "version": __version__}


def words() -> str:
    """For the log."""
    return f"podium {__version__}, {'compiled' if compiled() else 'from its sources'}"
