#!/bin/sh
# Starts or stops a private MariaDB server in a directory: `mariadb.sh start DIR` prints its URL, `mariadb.sh stop DIR`.
set -eu
action=$1
directory=$2
case $action in
start)
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    user=$(id -un)
    mariadb-install-db --no-defaults --user="$user" --datadir="$directory/data" --auth-root-authentication-method=normal \
        --skip-test-db >"$directory/install.log" 2>&1
    mariadbd --no-defaults --user="$user" --datadir="$directory/data" --bind-address=127.0.0.1 --port="$port" \
        --socket="$directory/socket" --pid-file="$directory/pid" --innodb-flush-log-at-trx-commit=0 \
        >"$directory/server.log" 2>&1 &
    tries=0
    until mariadb --no-defaults --socket="$directory/socket" --user=root -e \
        "CREATE USER 'hookrail'@'127.0.0.1' IDENTIFIED BY 'hookrail'; GRANT ALL ON *.* TO 'hookrail'@'127.0.0.1'" 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || { cat "$directory/server.log" >&2; exit 1; }
        sleep 0.2
    done
    echo "mysql://hookrail:hookrail@127.0.0.1:$port/mysql"
    ;;
stop)
    [ ! -f "$directory/pid" ] || kill "$(cat "$directory/pid")"
    tries=0
    while [ -f "$directory/pid" ] && [ "$tries" -lt 50 ]; do
        tries=$((tries + 1))
        sleep 0.2
    done
    ;;
esac
