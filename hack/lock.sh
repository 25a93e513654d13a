#!/usr/bin/env bash
# Pins what pyproject.toml asks for: all of it for development, and for each image its part of the same versions.
set -euo pipefail
cd "$(dirname "$0")/.."
compile=("$1/bin/pip-compile" --quiet --generate-hashes --allow-unsafe --strip-extras
    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host)
export CUSTOM_COMPILE_COMMAND="make lock"

"${compile[@]}" --all-extras --output-file=requirements/dev.txt pyproject.toml
for part in operator serving monitor compile; do
    "${compile[@]}" --extra "$part" --constraint=requirements/dev.txt --output-file="requirements/$part.txt" pyproject.toml
done
