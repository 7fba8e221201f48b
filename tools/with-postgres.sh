#!/bin/sh
# Runs a command with a private PostgreSQL: its server's URL is in HOOKRAIL_TEST_POSTGRES_URL, where tests make their
# own databases. One that is set already is used instead.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if [ -z "${HOOKRAIL_TEST_POSTGRES_URL:-}" ]; then
    directory=$(mktemp -d "${TMPDIR:-/tmp}/hookrail-postgres.XXXXXX")
    chmod 755 "$directory"
    trap '"$here/postgres.sh" stop "$directory"; rm -rf "$directory"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    HOOKRAIL_TEST_POSTGRES_URL=$("$here/postgres.sh" start "$directory")
    export HOOKRAIL_TEST_POSTGRES_URL
fi
"$@"
