#!/bin/sh
# Makes .tools/venv with the packages of requirements*.txt, and .tools/bin/nats-server.
# Works as root or not. Changes nothing outside .tools, save that root on Debian gets python3-venv where it's missing.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
tools="$root/.tools"
venv="$tools/venv"

python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' || {
    echo "Python 3.9 or later is needed as python3" >&2
    exit 1
}

make_venv() {
    rm -rf "$venv"
    python3 -m venv "$venv"
}

# Debian splits ensurepip off into python3-venv: venv fails without it.
if ! make_venv; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "python3 -m venv does not work here: install python3-venv (as root: apt-get install python3-venv)" >&2
        exit 1
    fi
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends python3-venv
    make_venv
fi

"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$root/tools/requirements.txt"

"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-compile \
    --requirement "$root/tools/requirements-senders.txt"
# The client of Twilio's API is 23 MB, and no test calls it.
"$venv/bin/python" - <<'PRUNE'
import pathlib, shutil, sysconfig
shutil.rmtree(pathlib.Path(sysconfig.get_path("purelib"), "twilio", "rest"), ignore_errors=True)
PRUNE

mkdir -p "$tools/bin"
ln -sf ../venv/bin/nats-server "$tools/bin/nats-server"
"$tools/bin/nats-server" --version
