#!/bin/sh
# Writes requirements.lock (what runs, the embedded broker included) and requirements-dev.lock (that and the tests), with
# hashes of every file of a version and without addresses. `tools/lock.sh --upgrade` takes newer versions.
set -eu

cd "$(dirname -- "$0")/.."
# pip-tools is not in the lock: it would pin pip itself.
[ -x .cache/lock/bin/pip-compile ] || { .venv/bin/python -m venv .cache/lock && .cache/lock/bin/pip install --quiet pip-tools; }

compile() {
    .cache/lock/bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header --no-annotate \
        --no-emit-index-url --no-emit-trusted-host --no-emit-find-links "$@" pyproject.toml
}
compile --extra demo --extra dev --output-file requirements-dev.lock "$@"
# The versions that are tested are the ones that run.
compile --extra demo --constraint requirements-dev.lock --output-file requirements.lock "$@"
