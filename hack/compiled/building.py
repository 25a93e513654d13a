"""`building.py FOLDER PYTHON`: compiles the modules of modules.txt in FOLDER, beside their sources, for the given Python.

Runs by itself, for the image's builder has nothing else of ours: by a Python of the same version that has
requirements/compile.txt, which is mypyc, and Zig as the C compiler. PYTHON is that which has the serving process's
libraries: their types are read where they are installed.
"""

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from mypyc.build import mypycify

MODULES = Path(__file__).parent / "modules.txt"
SETTINGS = """[mypy]
python_executable = {python}
mypy_path = {folder}
explicit_package_bases = true
ignore_missing_imports = true
follow_untyped_imports = false
cache_dir = {temporary}
"""
FLAGS = ("-O2", "-mcpu=baseline", "-fPIC", "-shared", "-fwrapv", "-DNDEBUG", "-g0", "-w", "-fno-sanitize=all")
"""-fwrapv is what CPython itself is compiled with. Zig takes the machine's own processor and guards against undefined
behaviour unless it is told not to: what is compiled here runs on any processor of the same architecture."""


def modules() -> list[str]:
    """The files to compile, relative to the folder of the packages."""
    lines = MODULES.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def include_folders() -> list[str]:
    """Where Python's headers lie. Raises SystemExit when they are not there: Debian has them in a package of their own."""
    folders = list(dict.fromkeys(sysconfig.get_path(name) for name in ("include", "platinclude")))
    if not any(Path(folder, "Python.h").exists() for folder in folders):
        package = f"libpython{sys.version_info.major}.{sys.version_info.minor}-dev"
        raise SystemExit(f"Python's headers are not in {folders[0]}; on Debian and Ubuntu: sudo apt-get install {package}")
    return folders


def build(folder: Path, python: str) -> None:
    """Raises SystemExit when a type is wrong, CalledProcessError when the C is."""
    includes = include_folders()
    os.chdir(folder)  # tracebacks name files as they are given here: podium_serving/http/lane.py
    with tempfile.TemporaryDirectory() as name:
        temporary = Path(name)
        settings = temporary / "mypy.ini"
        settings.write_text(SETTINGS.format(python=python, folder=folder, temporary=temporary / "types"), encoding="utf-8")
        options = ["--config-file", str(settings), *modules()]
        for extension in mypycify(options, group_name="podium", target_dir=str(temporary), strip_asserts=False):
            compile_extension(extension.name, [str(source) for source in extension.sources], includes, temporary)


def compile_extension(name: str, sources: list[str], includes: list[str], temporary: Path) -> None:
    import mypyc

    headers = [str(temporary), str(Path(mypyc.__file__).parent / "lib-rt"), *includes]
    target = Path(*name.split(".")).with_suffix(sysconfig.get_config_var("EXT_SUFFIX"))
    command = [
        sys.executable,
        "-m",
        "ziglang",
        "cc",
        *FLAGS,
        *(f"-I{path}" for path in headers),
        *sources,
        "-o",
        str(target),
    ]
    subprocess.run(command, check=True, env=os.environ | {"ZIG_GLOBAL_CACHE_DIR": str(temporary / "zig")})


if __name__ == "__main__":
    build(Path(sys.argv[1]).resolve(), sys.argv[2])
