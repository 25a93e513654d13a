#!/usr/bin/env bash
# Makes the virtual environment given as the first argument: pinned libraries, our packages as they lie here, the podium command.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1

say() { printf '%s\n' "$*" >&2; }

# The name of a Python that is new enough and can make virtual environments; nothing if there is none.
usable_python() {
    local name
    for name in python3.11 python3.12 python3.13 python3; do
        if "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s' "$name"
            return
        fi
    done
}

python=$(usable_python)
if [ -z "$python" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing python3 and python3-venv with apt-get"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3 python3-venv >/dev/null
    python=$(usable_python)
fi
if [ -z "$python" ]; then
    say "error: Python 3.11 or newer with its venv module is needed, and none was found."
    say "       On Debian 12 or Ubuntu 24.04: sudo apt-get install python3-venv"
    exit 1
fi

say "making $venv with $("$python" --version) (some minutes the first time)"
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-compile -r requirements/dev.txt
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .

# By them hack/compiled compiles the serving package. Whoever only runs podium does without.
headers=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
if [ ! -e "$headers/Python.h" ]; then
    package=lib$("$venv/bin/python" -c 'import sys; print("python%d.%d-dev" % sys.version_info[:2])')
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing $package with apt-get"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null || true
    fi
    [ -e "$headers/Python.h" ] ||
        say "note: tests that start a serving process need Python's headers; on Debian and Ubuntu: sudo apt-get install $package"
fi
