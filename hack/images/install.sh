#!/bin/sh
# Runs inside `docker build`: `install.sh PART` makes the part's venv, `install.sh --compile` its bytecode.
set -eu
venv=/opt/podium/venv

if [ "$1" = --compile ]; then
    # Checked by content hash at build time only: a copied file's time means nothing, and nobody writes into a running image.
    "$venv/bin/python" -m compileall -q --invalidation-mode unchecked-hash /opt/podium/lib
    exit 0
fi

[ ! -s /build/pip.conf ] || export PIP_CONFIG_FILE=/build/pip.conf
[ ! -s /build/ca.crt ] || export PIP_CERT=/build/ca.crt
python3 -m venv --without-pip "$venv"
python3 -m pip --python "$venv/bin/python" install --require-hashes --only-binary :all: --no-compile -r "/build/$1.txt"
packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
# Libraries ship their own tests and C headers; nothing at run time opens them.
find "$packages" -depth -type d \( -name tests -o -name include \) -exec rm -rf {} +
"$venv/bin/python" -m compileall -q --invalidation-mode unchecked-hash "$packages"
