"""Which packages the command line names: folders one by one, or all within one folder. Read again when a client asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from podium_crds.package import DESCRIPTOR_FILE
from podium_serving.model.package import InvalidPackage, parse_descriptor


@dataclass(frozen=True, slots=True)
class Found:
    """What a look at the folders gave."""

    packages: dict[str, Path]
    """By the name that the package gives itself."""
    faults: dict[str, str]
    """Folders that hold no package that can be told apart, by name, and why."""


class Folders:
    def __init__(self, packages: Sequence[Path], repository: Path | None) -> None:
        self._packages = list(packages)
        self._repository = repository
        self._read: dict[Path, tuple[int, str]] = {}
        """Name by descriptor file, and when that was written: reading thirty columns of YAML takes a while."""

    def look(self) -> Found:
        """Blocks: call it in a thread where requests are served. Raises InvalidPackage when the repository is no folder."""
        packages: dict[str, Path] = {}
        faults: dict[str, str] = {}
        for folder in [*self._packages, *self._within()]:
            try:
                name = self._name(folder)
            except InvalidPackage as error:
                faults[folder.name] = str(error)
                continue
            if name in packages:
                faults[folder.name] = f"{folder} and {packages[name]} both hold a package named '{name}'"
            else:
                packages[name] = folder
        return Found(packages, faults)

    def _within(self) -> list[Path]:
        if self._repository is None:
            return []
        try:
            return sorted(folder for folder in self._repository.iterdir() if (folder / DESCRIPTOR_FILE).is_file())
        except OSError as error:
            raise InvalidPackage(f"cannot look into {self._repository}: {error.strerror}") from error

    def _name(self, folder: Path) -> str:
        file = folder / DESCRIPTOR_FILE
        try:
            written = file.stat().st_mtime_ns
            known = self._read.get(file)
            if known is None or known[0] != written:
                known = self._read[file] = written, parse_descriptor(file.read_bytes()).name
        except OSError as error:
            said = f"cannot read {DESCRIPTOR_FILE} in {folder}: {error.strerror}"
            raise InvalidPackage(f"{said}; a package is a folder that `podium package` wrote") from error
        return known[1]
