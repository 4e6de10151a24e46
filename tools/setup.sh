#!/bin/sh
# Creates .venv from requirements-dev.lock, with hashes, and installs the project into it, editable.
# PYTHON=... names the interpreter; else the newest of 3.13, 3.12, 3.11 and python3 on PATH that fits is taken.
set -eu

cd "$(dirname -- "$0")/.."
venv=.venv

fits() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' >/dev/null 2>&1
}

find_python() {
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if command -v "$candidate" >/dev/null 2>&1 && fits "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    echo "no Python 3.11, 3.12 or 3.13 found; install one (Debian: sudo apt-get install --yes python3 python3-venv)," >&2
    echo "or name it: make setup PYTHON=/path/to/python3" >&2
    return 1
}

# An environment that a removed interpreter left behind, or that was moved here, cannot be mended: make it anew.
if ! fits "$venv/bin/python" || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    rm -rf "$venv"
    # Debian ships Python without ensurepip, in a package of its own.
    if ! "$python" -c 'import ensurepip' >/dev/null 2>&1; then
        package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
        if ! tools/apt.sh "$package"; then
            echo "$python cannot make virtual environments; install: sudo apt-get install --yes $package" >&2
            exit 1
        fi
    fi
    "$python" -m venv "$venv"
fi

echo "installing the locked requirements into $venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --require-hashes \
    --requirement requirements-dev.lock
# setuptools comes from the lock, so the build needs no environment, and no download, of its own.
# It warns that the folders of the checkout are importable from the checkout, which is what we want.
PYTHONWARNINGS="ignore:Editable installation" "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-deps --no-build-isolation \
    --editable .
"$venv/bin/python" -m pip check
touch "$venv/.installed"
