#!/bin/sh
# Runs a command with a private MariaDB, where its server is installed: its URL is in HOOKRAIL_TEST_MYSQL_URL, where
# tests make their own databases. One that is set already is used instead; without a server the command runs without
# it, and its tests say that they skip.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if [ -z "${HOOKRAIL_TEST_MYSQL_URL:-}" ] && command -v mariadbd >/dev/null 2>&1; then
    directory=$(mktemp -d "${TMPDIR:-/tmp}/hookrail-mariadb.XXXXXX")
    chmod 755 "$directory"
    trap '"$here/mariadb.sh" stop "$directory"; rm -rf "$directory"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    HOOKRAIL_TEST_MYSQL_URL=$("$here/mariadb.sh" start "$directory")
    export HOOKRAIL_TEST_MYSQL_URL
fi
"$@"
