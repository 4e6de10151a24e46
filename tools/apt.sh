#!/bin/sh
# Installs Debian packages if this user may and the system has apt-get; else says nothing and returns 1.
set -eu

if ! command -v apt-get >/dev/null 2>&1; then
    exit 1
fi
if [ "$(id -u)" -eq 0 ]; then
    run="env"
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    run="sudo env"
else
    exit 1
fi

# Installing must not start services: the tests start their own, on free ports, and end them. A policy that is already
# there, as in containers, is left alone.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap '$run rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | $run tee "$policy" >/dev/null
    $run chmod +x "$policy"
fi

echo "installing $*"
$run DEBIAN_FRONTEND=noninteractive apt-get update --quiet --quiet
$run DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --quiet --no-install-recommends "$@" >/dev/null
