# shellcheck shell=bash
# What the scripts of this folder share: progress lines, and installing what a fresh Debian machine lacks.
# Sourced by them, never run. Everything here is quick when there is nothing to do.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$ROOT"

# Prints one progress line with the time since the script began.
say() { printf '\033[1m[%3dm%02ds]\033[0m %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$*" >&2; }

# Prints why the script cannot go on, and ends it.
die() {
    say "cannot go on: $*"
    exit 1
}

# step TITLE COMMAND...: says what begins, runs it, says how long it took. A COMMAND that is a function must return its
# failures itself: bash does not apply `set -e` inside of it.
step() {
    local title=$1 began=$SECONDS
    shift
    say "$title …"
    "$@" || die "$title failed (status $?): $*"
    local took=$((SECONDS - began))
    if ((took > 2)); then say "$title: done in ${took} s"; fi
}

# Runs a command as root: directly, or through sudo.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    elif command -v sudo >/dev/null && [ -t 0 ]; then
        sudo "$@"
    else
        return 1
    fi
}

APT_UPDATED=no
# apt_install WHAT PACKAGE...: installs Debian packages; WHAT says in plain words what they are for.
apt_install() {
    local what=$1
    shift
    command -v apt-get >/dev/null || die "$what is missing, and there is no apt-get here to install it with; please install: $*"
    as_root true || die "$what is missing and needs root to install; please run: apt-get install $*"
    say "installing $what: $*"
    if [ "$APT_UPDATED" = no ]; then
        as_root apt-get update -qq >&2 || as_root apt-get update -qq >&2 || say "apt-get update failed; trying with the lists that are here"
        APT_UPDATED=yes
    fi
    local attempt
    for attempt in 1 2; do
        if as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2; then return 0; fi
        say "apt-get install did not succeed (try $attempt of 2)"
    done
    die "$what could not be installed; please run: apt-get install $*"
}

# The pinned Rust toolchain with its components and targets. rustup is called openly, because it may have been told to
# install nothing by itself. A toolchain of the same version under another name serves as well.
need_rust() {
    local bin="${CARGO_HOME:-$HOME/.cargo}/bin"
    case ":$PATH:" in *":$bin:"*) ;; *) PATH="$bin:$PATH" ;; esac
    command -v rustup >/dev/null || die "rustup is missing; install it as https://rustup.rs says, then run this again"
    local channel
    channel=$(sed -n 's/^channel *= *"\(.*\)"/\1/p' rust-toolchain.toml)
    if ! rustup run "$channel" rustc --version >/dev/null 2>&1; then
        local name found=""
        for name in $(rustup toolchain list | awk '{print $1}'); do
            if [ "$(rustup run "$name" rustc --version 2>/dev/null | awk '{print $2}')" = "$channel" ]; then found=$name; fi
        done
        if [ -n "$found" ]; then
            export RUSTUP_TOOLCHAIN=$found
        else
            step "installing Rust $channel" rustup toolchain install "$channel" --profile minimal --no-self-update
        fi
    fi
    local toolchain=${RUSTUP_TOOLCHAIN:-$channel}
    local component target
    for component in rustfmt clippy; do
        rustup component list --toolchain "$toolchain" --installed | grep -q "^$component" ||
            step "installing $component" rustup component add --toolchain "$toolchain" "$component"
    done
    for target in wasm32-unknown-unknown; do
        rustup target list --toolchain "$toolchain" --installed | grep -qx "$target" ||
            step "installing the target $target" rustup target add --toolchain "$toolchain" "$target"
    done
}

# A C compiler and linker, for the crates that build C (SQLite, zstd, ring).
need_c() {
    if command -v cc >/dev/null && command -v make >/dev/null && [ -e /usr/include/stdio.h ]; then return 0; fi
    apt_install "a C compiler" build-essential pkg-config
}

# Node.js 20 or newer with npm, for the dashboard and for workerd.
need_node() {
    command -v node >/dev/null && command -v npm >/dev/null || die "Node.js 20 with npm is missing; please install it, then run this again"
    local major
    major=$(node -p 'process.versions.node.split(".")[0]')
    ((major >= 20)) || die "Node.js is version $(node --version), 20 or newer is needed"
}

# The PostgreSQL server's programs. Tests start servers of their own; no service is configured or started.
need_postgres() {
    if compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null; then return 0; fi
    apt_install "a PostgreSQL server for the tests" postgresql
}

# Chromium, for the dashboard's tests.
need_chromium() {
    if command -v chromium >/dev/null; then return 0; fi
    apt_install "Chromium for the dashboard's tests" chromium fonts-liberation
}

# need_npm FOLDER: what FOLDER/package-lock.json names, installed.
need_npm() {
    local folder=$1
    local stamp=$folder/node_modules/.installed-lock
    if cmp -s "$folder/package-lock.json" "$stamp"; then return 0; fi
    install_npm() {
        (cd "$folder" && npm ci --no-audit --no-fund --loglevel=error >&2) ||
            { say "npm ci did not succeed, once more"; (cd "$folder" && npm ci --no-audit --no-fund --loglevel=error >&2); } ||
            return 1
        cp "$folder/package-lock.json" "$stamp"
    }
    step "npm packages of $folder" install_npm
}

# need_python_venv FOLDER REQUIREMENTS: a virtual environment in FOLDER with what the file REQUIREMENTS names.
need_python_venv() {
    local folder=$1 requirements=$2
    if cmp -s "$requirements" "$folder/.installed"; then return 0; fi
    command -v python3 >/dev/null && python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install "Python with virtual environments" python3-venv
    install_python() {
        rm -rf "$folder"
        python3 -m venv "$folder" || return 1
        "$folder/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements" >&2 ||
            "$folder/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements" >&2 || return 1
        cp "$requirements" "$folder/.installed"
    }
    step "Python packages of $requirements" install_python
}

# fresh OUTPUT INPUT...: true when OUTPUT exists and no file in the INPUTs is newer.
fresh() {
    local output=$1
    shift
    [ -e "$output" ] && [ -z "$(find "$@" -name node_modules -prune -o -newer "$output" -type f -print -quit)" ]
}

# The dashboard's files, which the control plane serves from the binary.
build_dashboard() {
    local inputs=(dashboard/src dashboard/public dashboard/index.html dashboard/package-lock.json dashboard/tsconfig.json dashboard/vite.config.ts)
    if fresh dashboard/dist/index.html "${inputs[@]}"; then return 0; fi
    step "dashboard" npm --prefix dashboard run --silent build
}

# The load generator of the edge's benchmarks, `target/edge-load/release/edge-load`.
build_edge_load() {
    step "load generator" cargo build --quiet --release --locked --manifest-path edge-worker/bench/load/Cargo.toml --target-dir target/edge-load
}

# What every cargo command of the tests selects: the whole workspace with the dashboard in the binary, so that each
# dependency is compiled once, with one set of features.
WORKSPACE=(--workspace --locked --features sortition/embed-ui)

# Compiles all that the tests run: tests, binary, examples.
build_tests() { cargo test "${WORKSPACE[@]}" --no-run; }

# Whether that was done just now, by the script that called this one.
tests_are_built() { [ "${SORTITION_TESTS_BUILT:-no}" = yes ]; }

# run_rust_tests WHICH: by cargo-nextest where it is installed, else by cargo. WHICH is "platform" (the whole-platform
# tests) or "parts" (all others).
run_rust_tests() {
    local which=$1
    if cargo nextest --version >/dev/null 2>&1; then
        case $which in
        # Half of their time is waiting, for a killed process's lease or a retry: more at once than there are cores.
        parts) cargo nextest run "${WORKSPACE[@]}" --no-fail-fast --test-threads 4 -E 'not package(platform-tests)' ;;
        platform) cargo nextest run "${WORKSPACE[@]}" --no-fail-fast -E 'package(platform-tests)' ;;
        esac
    else
        case $which in
        parts) cargo test "${WORKSPACE[@]}" --exclude platform-tests --no-fail-fast --lib --bins --tests ;;
        platform) cargo test --locked -p platform-tests --no-fail-fast ;;
        esac
    fi
}
