"""Runs inside the base image, as root, in the build's first stage: `python install.py CONTEXT TREE`.

Installs the requirements into TREE/opt/podium/extra, which a .pth file in the base image's own site-packages puts on the
path, and lists everything that Python can import, and Debian's packages where there are any, as a CycloneDX bill of
materials. Standard library only: it is a guest in the scoring image.
"""

import json
import os
import subprocess
import sys
import sysconfig
from compileall import compile_dir
from importlib.metadata import distributions
from pathlib import Path
from py_compile import PycInvalidationMode


def main() -> int:
    context, tree = Path(sys.argv[1]), Path(sys.argv[2])
    extra = tree / "opt/podium/extra"
    extra.mkdir(parents=True)
    constraints = context / "constraints.txt"
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in installed()))
    status = install(context, extra, constraints)
    if status:
        return status
    # Checked by content at build time only: the running image is read-only.
    compile_dir(extra, quiet=1, stripdir=str(tree), invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    folders = sorted(str(path) for path in extra.glob("lib*/python*/site-packages"))
    link = tree / sysconfig.get_path("purelib").lstrip("/") / "podium-extra.pth"
    link.parent.mkdir(parents=True)
    link.write_text("".join(f"/{Path(folder).relative_to(tree)}\n" for folder in folders))
    bill = bill_of_materials(installed(folders), debian_packages(Path("/var/lib/dpkg/status")))
    (tree / "opt/podium/sbom.json").write_text(json.dumps(bill, indent=1, sort_keys=True) + "\n")
    return 0


def install(context: Path, extra: Path, constraints: Path) -> int:
    """pip's exit code. The base image's packages keep their versions: serving was tested with those."""
    environment = dict(os.environ, PIP_NO_INPUT="1", PIP_DISABLE_PIP_VERSION_CHECK="1")
    if (context / "pip.conf").exists():
        environment["PIP_CONFIG_FILE"] = str(context / "pip.conf")
    if (context / "ca.crt").exists():
        environment["PIP_CERT"] = str(context / "ca.crt")
    # The venv has no pip; the interpreter that it was made from does.
    base = str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}")
    command = [base, "-m", "pip", "--python", sys.executable, "install", "--no-cache-dir", "--progress-bar", "off"]
    command += ["--root-user-action", "ignore", "--no-warn-script-location", "--no-compile", "--prefix", str(extra)]
    command += ["--constraint", str(constraints), "--requirement", str(context / "requirements.txt")]
    return subprocess.run(command, env=environment, check=False).returncode


def installed(folders: list[str] | None = None) -> list[tuple[str, str]]:
    """Names and versions of what is importable; `folders` come on top."""
    paths = [*(folders or []), *(path for path in sys.path if path.endswith("site-packages"))]
    found: dict[str, str] = {}
    for distribution in distributions(path=paths):
        name = distribution.metadata["Name"]
        if name:
            found.setdefault(name.lower().replace("_", "-"), distribution.version)
    return sorted(found.items())


def debian_packages(status: Path) -> list[tuple[str, str]]:
    if not status.exists():
        return []
    fields = [
        dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(" "))
        for block in status.read_text(errors="replace").split("\n\n")
    ]
    return sorted((field["Package"], field["Version"]) for field in fields if "Package" in field and "Version" in field)


def bill_of_materials(python: list[tuple[str, str]], debian: list[tuple[str, str]]) -> dict[str, object]:
    """CycloneDX. Without time and serial number: equal images have equal bills."""
    components = [
        {"type": "library", "name": name, "version": version, "purl": f"pkg:{kind}/{name}@{version}"}
        for kind, packages in (("pypi", python), ("deb/debian", debian))
        for name, version in packages
    ]
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": components}


if __name__ == "__main__":
    sys.exit(main())
