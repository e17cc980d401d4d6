# Sourced by ./demo, ./test and .ci/run: makes .venv from nothing, in the root of the checkout.
# Needs Python 3.11 or newer with its venv module, and a package index.

ENVIRONMENT=.venv

say() { printf '%s\n' "$*" >&2; }

# The first Python that is new enough; POSTILLON_PYTHON names another one.
find_python() {
    local candidate
    for candidate in ${POSTILLON_PYTHON:-python3 python3.13 python3.12 python3.11 python3.14}; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    say "Postillon needs Python 3.11 or newer, and there is none on the PATH."
    say "  Debian 12 or newer, Ubuntu 24.04:  sudo apt install python3 python3-venv"
    say "  Ubuntu 22.04:                      sudo apt install python3.11 python3.11-venv"
    say "  elsewhere:                         https://www.python.org/downloads/"
    say "If it is installed under another name: POSTILLON_PYTHON=/path/to/python3 $0"
    return 1
}

make_venv() {
    local python=$1 log
    log=$(mktemp)
    if "$python" -m venv --clear "$ENVIRONMENT" >"$log" 2>&1; then
        rm -f "$log"
        return
    fi
    if grep -qi ensurepip "$log" || ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
        say "This Python lacks its venv module."
        say "  Debian, Ubuntu:  sudo apt install $(basename "$(readlink -f "$(command -v "$python")")")-venv"
    else
        cat "$log" >&2
    fi
    rm -f "$log"
    rm -rf "$ENVIRONMENT"
    return 1
}

# The development group of pyproject.toml, one requirement a line: pip learned --group only in 25.1.
development_requirements() {
    "$ENVIRONMENT/bin/python" -c '
import tomllib
with open("pyproject.toml", "rb") as file:
    print("\n".join(tomllib.load(file)["dependency-groups"]["dev"]))'
}

# prepare_environment run|dev: nothing to do when pyproject.toml and place are those it was made for.
prepare_environment() {
    local kind=$1 python wanted stamp=$ENVIRONMENT/.postillon
    wanted="$(sha256sum <pyproject.toml) $PWD"
    if [ -x "$ENVIRONMENT/bin/python" ] && "$ENVIRONMENT/bin/python" -c '' 2>/dev/null &&
        { [ "$(cat "$stamp.dev" 2>/dev/null)" = "$wanted" ] ||
            [ "$(cat "$stamp.$kind" 2>/dev/null)" = "$wanted" ]; }; then
        return
    fi
    if ! [ -x "$ENVIRONMENT/bin/python" ] || ! "$ENVIRONMENT/bin/python" -c '' 2>/dev/null; then
        python=$(find_python) || return 1
        say "Making $ENVIRONMENT with $($python --version) ..."
        make_venv "$python" || return 1
    fi
    say "Installing what Postillon needs into $ENVIRONMENT (once) ..."
    local -a pip=("$ENVIRONMENT/bin/python" -m pip --disable-pip-version-check --quiet)
    "${pip[@]}" install --upgrade pip || return 1
    local -a requirements=()
    if [ "$kind" = dev ]; then
        mapfile -t requirements < <(development_requirements)
    fi
    POSTILLON_WEBMAIL=skip "${pip[@]}" install --editable . ${requirements[@]+"${requirements[@]}"} || return 1
    printf '%s\n' "$wanted" >"$stamp.$kind"
}

# prepare_webmail run|dev: build the web client where it is missing or older than its sources. Without a
# network there is none, and everything else works.
prepare_webmail() {
    local node tools=""
    [ "$1" = dev ] && tools=--tools
    node=$("$ENVIRONMENT/bin/python" packaging/webmail.py --node $tools)
    if [ -n "$node" ]; then
        say "Fetching Node.js, to build the web client (once) ..."
        "$ENVIRONMENT/bin/python" -m pip --disable-pip-version-check --quiet install "$node" || true
    fi
    "$ENVIRONMENT/bin/python" packaging/webmail.py $tools || true
}
