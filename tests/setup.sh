#!/bin/sh
# Make .venv with everything that is pinned in requirements.lock and this project itself. Runs on a bare Debian 12;
# returns at once when nothing has changed since.
set -eu
cd "$(dirname "$0")/.."

stamp=.venv/.set-up
inputs=$(cat tests/requirements.lock pyproject.toml | sha256sum)
if [ -x .venv/bin/python ] && [ "$(cat $stamp 2>/dev/null)" = "$inputs" ]; then exit 0; fi

find_python() {
    for python in python3 python3.14 python3.13 python3.12 python3.11; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then return; fi
    done
    python=
}

find_python
wanted=
[ -n "$python" ] || wanted="python3"
# Debian's Python comes without the part that makes virtual environments.
if [ ! -x .venv/bin/python ] && ! "${python:-false}" -c 'import ensurepip' 2>/dev/null; then
    wanted="${wanted:+$wanted }python3-venv"
fi
if [ -n "$wanted" ]; then
    install="apt-get install --yes --no-install-recommends $wanted"
    if [ "$(id -u)" != 0 ]; then
        echo "missing: $wanted (for the virtual environment .venv). As root: $install" >&2
        exit 1
    fi
    echo "Installing Debian packages: $wanted (for the virtual environment .venv)"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes $install >/dev/null
    find_python
fi

echo "Installing Python packages into .venv"
[ -x .venv/bin/python ] || "$python" -m venv .venv
pip=".venv/bin/python -m pip install --quiet --disable-pip-version-check"
$pip --require-hashes --requirement tests/requirements.lock
$pip --no-deps --no-build-isolation --editable .
echo "$inputs" >$stamp
