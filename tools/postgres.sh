#!/bin/sh
# A private PostgreSQL for tests: postgres.sh start DIR | stop DIR
# start makes a cluster in DIR (which must not exist), serves it on a free loopback port with trust authentication,
# and prints its URL. Its data isn't synced to disk: it is for tests only. stop ends it and removes DIR.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
command=${1:-}
directory=${2:-}
case "$command" in start|stop) ;; *) command= ;; esac
if [ -z "$command" ] || [ -z "$directory" ]; then
    echo "usage: postgres.sh start|stop DIR" >&2
    exit 64
fi
programs=$("$here/postgres-server.sh")

# PostgreSQL refuses to run as root: then it runs as postgres, or nobody where there is no such user.
as_owner() {
    if [ "$(id -u)" != 0 ]; then
        "$@"
    elif command -v setpriv >/dev/null; then
        setpriv --reuid "$owner" --regid "$(id -g "$owner")" --clear-groups -- "$@"
    elif command -v runuser >/dev/null; then
        runuser -u "$owner" -- "$@"
    else
        su "$owner" -s /bin/sh -c 'exec "$0" "$@"' -- "$@"
    fi
}
if id postgres >/dev/null 2>&1; then owner=postgres; else owner=nobody; fi

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

start() {
    mkdir -p "$directory"
    directory=$(cd "$directory" && pwd)
    if [ "$(id -u)" = 0 ]; then chown "$owner" "$directory"; fi
    cd "$directory" # the owner may not be allowed to read where we came from
    as_owner "$programs/initdb" --pgdata "$directory/cluster" --username postgres --auth trust \
        --encoding UTF8 --no-locale --no-sync > initdb.log 2>&1 || { cat initdb.log >&2; exit 1; }
    # A free port may be taken before the server binds it: then another one is tried.
    for _ in 1 2 3 4 5; do
        port=$(free_port)
        if as_owner "$programs/pg_ctl" --pgdata "$directory/cluster" --log "$directory/cluster/server.log" --wait --timeout 60 \
            --options "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off \
                -c max_connections=300 -c logging_collector=off" start > start.log 2>&1 < /dev/null; then
            echo "postgres://postgres@127.0.0.1:$port"
            return
        fi
    done
    cat start.log cluster/server.log >&2
    exit 1
}

stop() {
    [ -d "$directory/cluster" ] || return 0
    directory=$(cd "$directory" && pwd)
    cd "$directory"
    as_owner "$programs/pg_ctl" --pgdata "$directory/cluster" --mode immediate --wait stop > stop.log 2>&1 < /dev/null || true
    cd /
    rm -rf "$directory"
}

"$command"
