"""Requirement lines that a scoring image is built with. Pure."""

from collections.abc import Sequence

from packaging.requirements import InvalidRequirement, Requirement

from podium_cli.errors import UserError


def checked_requirements(lines: Sequence[str]) -> list[str]:
    """The lines, stripped. Raises UserError for one that is no requirement, is not pinned, or names an address.

    Pinned, because an image is found again by the hash of its inputs: an open range would mean two images under one name.
    """
    return [_checked(line.strip()) for line in lines]


def _checked(line: str) -> str:
    try:
        requirement = Requirement(line)
    except InvalidRequirement as error:
        raise UserError(f"{line!r} is no requirement: write it like numpy-financial==1.0.0") from error
    if requirement.url:
        raise UserError(f"{line!r} names an address; the builder's package index is the only source: write name==version")
    pins = [part for part in requirement.specifier if part.operator in ("==", "===") and not part.version.endswith("*")]
    if len(pins) != 1 or len(requirement.specifier) != 1:
        raise UserError(
            f"{line!r} is not pinned; write {requirement.name}==<version>, so that the same package builds the same image"
        )
    return line
