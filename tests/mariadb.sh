#!/usr/bin/env bash
# Unpacks MariaDB's server, with those of its libraries that the machine lacks, from Debian's packages into a folder; installs nothing.
set -euo pipefail
folder=$(realpath -m "$1")
if command -v mariadbd > /dev/null || [ -x /usr/sbin/mariadbd ] || [ -x "$folder/usr/sbin/mariadbd" ]; then
    exit 0
fi
if ! command -v apt-get dpkg > /dev/null; then
    echo "MariaDB's tests will be skipped: there is no apt-get to fetch its server with, and no mariadbd" >&2
    exit 0
fi
new=$(mktemp -d "$folder.XXXXXX")
trap 'rm -rf "$new"' EXIT
mkdir -p "$new"/apt/{lists,archives}/partial
options=(-qq -o Debug::NoLocking=1 -o APT::Sandbox::User= -o Acquire::Retries=2 -o Acquire::http::Timeout=20 -o "Dir::Cache=$new/apt")
download() {
    apt-get "${options[@]}" "$@" install --yes --download-only --no-install-recommends mariadb-server-core
}
own=(-o "Dir::State::lists=$new/apt/lists")
# the machine's own package lists may be old, or missing as in a container's image
if ! download 2> "$new/apt/said" && ! { apt-get "${options[@]}" "${own[@]}" update && download "${own[@]}"; } 2>> "$new/apt/said"; then
    cat "$new/apt/said" >&2
    echo "MariaDB's tests will be skipped: its server could not be fetched" >&2
    exit 0
fi
for package in "$new"/apt/archives/*.deb; do
    dpkg -x "$package" "$new"
done
rm -rf "$new/apt" "$folder"
chmod 755 "$new"
mv "$new" "$folder"
