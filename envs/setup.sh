#!/usr/bin/env bash
# Make the Python environment of this repository, or bring it up to date.
# usage: envs/setup.sh ENVIRONMENT (a virtual or conda environment; a virtual one is made if absent)
set -euo pipefail
cd "$(dirname "$0")/.."
environment=$1

fail() {
    echo "setup: $1" >&2
    exit 1
}

install_with_apt() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    apt-get install -y --no-install-recommends "$@" >/dev/null 2>&1 ||
        { apt-get update >/dev/null && apt-get install -y --no-install-recommends "$@" >/dev/null; }
}

if [ ! -x "$environment/bin/python" ]; then
    command -v python3 >/dev/null || fail "python3 not found; install Python 3.11 or newer"
    python3 -c 'import ensurepip, venv' 2>/dev/null || install_with_apt python3-venv ||
        fail "python3 lacks venv; install your system's python3-venv package"
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$(python3 --version) is too old; install Python 3.11 or newer"
    python3 -m venv "$environment"
fi
"$environment/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$("$environment/bin/python" --version) in $environment is too old; 3.11 or newer is needed"

echo "setup: installing Python packages into $environment (a few minutes the first time)"
"$environment/bin/python" -m pip install -qq --disable-pip-version-check -r requirements.lock
"$environment/bin/python" -m pip install -qq --disable-pip-version-check --no-deps -e .

if ! PATH="$environment/bin:$PATH" command -v bedtools >/dev/null; then
    install_with_apt bedtools ||
        fail "bedtools not found; install it, for example with: conda install -c bioconda bedtools"
fi
