#!/bin/sh
# Runs inside `docker build`: `install.sh PART` makes the part's venv, `install.sh compile` one with the compiler, which stays
# behind; `install.sh --native` compiles what serving runs for every request, `install.sh --bytecode` all of /opt/podium/lib.
set -eu
venv=/opt/podium/venv

case $1 in
--native)
    /build/compiler/bin/python -B /build/compiled/building.py /opt/podium/lib "$venv/bin/python"
    exit 0
    ;;
--bytecode)
    # Checked by content hash at build time only: a copied file's time means nothing, and nobody writes into a running image.
    "$venv/bin/python" -m compileall -q --invalidation-mode unchecked-hash /opt/podium/lib
    exit 0
    ;;
compile) venv=/build/compiler ;;
esac

[ ! -s /build/pip.conf ] || export PIP_CONFIG_FILE=/build/pip.conf
[ ! -s /build/ca.crt ] || export PIP_CERT=/build/ca.crt
python3 -m venv --without-pip "$venv"
python3 -m pip --python "$venv/bin/python" install --require-hashes --only-binary :all: --no-compile -r "/build/$1.txt"
[ "$1" != compile ] || exit 0
packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
# Libraries ship their own tests and C headers; nothing at run time opens them.
find "$packages" -depth -type d \( -name tests -o -name include \) -exec rm -rf {} +
"$venv/bin/python" -m compileall -q --invalidation-mode unchecked-hash "$packages"
