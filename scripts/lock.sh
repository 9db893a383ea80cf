#!/bin/sh
# Resolve what pyproject.toml asks for into lock files with hashes, for every platform at once.
# The resolver lives in an environment that is thrown away.
set -eu
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT INT TERM
"${PYTHON:-python3}" -m venv "$scratch"
"$scratch/bin/python" -m pip --disable-pip-version-check --quiet install uv

compile() { # compile INPUT... -o OUTPUT [OPTION...]
    "$scratch/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
        --custom-compile-command "make lock" "$@"
}

compile pyproject.toml requirements/build.in -o requirements/run.txt
compile pyproject.toml requirements/build.in --extra tracing --group dev -c requirements/run.txt -o requirements/dev.txt
compile requirements/semgrep.in -o requirements/semgrep.txt
compile requirements/pgserver.in -c requirements/dev.txt -o requirements/pgserver.txt
compile pyproject.toml requirements/build.in requirements/dbos.in -c requirements/run.txt -o requirements/dbos.txt
compile requirements/focus.in -o requirements/focus.txt
