#!/bin/sh
# Installs what the tests need beyond Python where it is missing, or says the one line that does. Starts nothing.
set -eu

here=$(dirname -- "$0")

# command, Debian package
needed="redis-server redis-server
prometheus prometheus
promtool prometheus
prometheus-alertmanager prometheus-alertmanager
amtool prometheus-alertmanager
chromium chromium
java default-jre-headless
mvn maven"

missing=$(echo "$needed" | while read -r command package; do
    command -v "$command" >/dev/null 2>&1 || echo "$package"
done | sort -u | tr '\n' ' ')

if [ -z "$missing" ]; then
    exit 0
fi
# shellcheck disable=SC2086 # one word per package
if ! "$here/apt.sh" $missing; then
    echo "the tests need more than Python; install it with: sudo apt-get install --yes ${missing% }" >&2
    exit 1
fi
