#!/bin/sh
# Makes sure that PostgreSQL's server programs are here: installs Debian's where they are missing (root only),
# without starting a server. Prints the directory that holds initdb.
set -eu

find_programs() {
    if command -v initdb >/dev/null; then
        dirname "$(command -v initdb)"
        return
    fi
    # The highest version that Debian has installed.
    ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1
}

programs=$(find_programs)
if [ -z "$programs" ]; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "PostgreSQL's server is missing: install it (as root: apt-get install postgresql)" >&2
        exit 1
    fi
    # Debian's package makes and starts a cluster of its own unless told not to.
    mkdir -p /etc/postgresql-common
    if ! grep -qs '^create_main_cluster' /etc/postgresql-common/createcluster.conf; then
        echo 'create_main_cluster = false' >> /etc/postgresql-common/createcluster.conf
    fi
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends postgresql; } >&2
    programs=$(find_programs)
fi
[ -n "$programs" ] || { echo "PostgreSQL was installed, but initdb was not found" >&2; exit 1; }
echo "$programs"
