#!/bin/sh
# Make .venv hold exactly what a lock file says, and the program at .venv/bin/zentry.
#
#   sh scripts/setup.sh run    what a server needs
#   sh scripts/setup.sh dev    that, and what checks and tests need
#
# A mark in .venv names the state that was installed, so a second call has nothing to do.
set -eu
cd "$(dirname "$0")/.."

kind=${1:-dev}
venv=.venv
case $kind in
    run | dev) ;;
    *)
        echo "usage: sh scripts/setup.sh run|dev" >&2
        exit 2
        ;;
esac

fail() {
    echo "setup: $1" >&2
    exit 1
}

is_usable() { # 3.11 or newer, able to make virtual environments
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null 2>&1 && is_usable "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    fail "Python 3.11 or newer with the modules venv and ensurepip was not found.
       Debian: apt install python3-venv.  macOS: brew install python.
       Or name one: make setup PYTHON=/path/to/python3"
}

# What the mark must say: locks, project file, place. Another clone or a moved one starts anew.
wanted() {
    {
        cat "requirements/$1.txt" pyproject.toml src/zentry/__init__.py
        pwd
    } | cksum
}

is_installed() {
    [ -x "$venv/bin/zentry" ] && [ -f "$venv/.installed-$1" ] && [ "$(cat "$venv/.installed-$1")" = "$(wanted "$1")" ] &&
        "$venv/bin/python" -c '' 2>/dev/null
}

if is_installed "$kind" || { [ "$kind" = run ] && is_installed dev; }; then
    exit 0
fi

if ! { [ -x "$venv/bin/python" ] && is_usable "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1; }; then
    python=$(find_python)
    echo "setup: making $venv with $("$python" --version) ($python)"
    rm -rf "$venv"
    "$python" -m venv "$venv"
fi

echo "setup: installing requirements/$kind.txt"
rm -f "$venv/.installed-run" "$venv/.installed-dev"
pip="$venv/bin/python -m pip --disable-pip-version-check --quiet"
$pip install --require-hashes --requirement "requirements/$kind.txt"
$pip install --no-deps --no-build-isolation --editable .
# Where PYTHONDONTWRITEBYTECODE is set each start would compile the sources anew, for a third of a second.
"$venv/bin/python" -m compileall -q src migrations
wanted "$kind" >"$venv/.installed-$kind"
