#!/bin/sh
# Fetches the jars of Apache Kafka (tools/kafka/pom.xml) into .cache/kafka/libs, once per version of that file.
set -eu

root=$(cd -- "$(dirname -- "$0")/.." && pwd)
pom="$root/tools/kafka/pom.xml"
cache="$root/.cache/kafka"
stamp="$cache/pom.xml"

# The stamp is the pom that the jars came from: a changed version fetches again, and a broken fetch leaves no stamp.
if cmp -s "$pom" "$stamp"; then
    exit 0
fi
if ! command -v mvn >/dev/null 2>&1; then
    echo "maven is missing; install it with: sudo apt-get install --yes maven default-jre-headless" >&2
    exit 1
fi
echo "fetching the jars of Apache Kafka into .cache/kafka/libs"
rm -rf "$cache"
mkdir -p "$cache"
mvn --quiet --batch-mode --file "$pom" dependency:copy-dependencies -DoutputDirectory="$cache/libs"
cp "$pom" "$stamp"
