#!/usr/bin/env bash
# Every check of this repository: format, lints, documents, all tests. Needs Rust and gcc; from any folder.
#
#   tests/run.sh            all of it
#   tests/run.sh lint       only the checks of the named steps: fmt, lint, doc, test, model, planted, seeds, model
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Commands that tests call beyond Rust and gcc, each with the Debian package that has it: "command:package".
# The NAT lab (tests/nat) makes networks of its own.
needs=(ip:iproute2 nft:nftables)

install_what_is_missing() {
    local entry packages=()
    for entry in ${needs[@]+"${needs[@]}"}; do
        command -v "${entry%%:*}" >/dev/null || packages+=("${entry##*:}")
    done
    [[ ${#packages[@]} -eq 0 ]] && return
    if [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null; then
        echo "== installing ${packages[*]}"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
    else
        echo "error: these packages are missing: ${packages[*]}" >&2
        echo "  hint: install them, or run this as root on Debian or Ubuntu" >&2
        exit 1
    fi
}

need_rust() {
    command -v cargo >/dev/null && return
    echo "error: there is no cargo" >&2
    echo "  hint: install Rust, see https://rustup.rs" >&2
    exit 1
}

# Rust may be there without these two; rustup, where it is, gets them.
need_component() {
    cargo "$1" --version >/dev/null 2>&1 && return
    if command -v rustup >/dev/null; then
        rustup component add "$2"
    else
        echo "error: cargo $1 is missing" >&2
        echo "  hint: install the Rust component $2" >&2
        exit 1
    fi
}

step() {
    local name=$1
    shift
    [[ ${#chosen[@]} -gt 0 && " ${chosen[*]} " != *" $name "* ]] && return
    echo "== $name: $*"
    local began=$SECONDS
    if ! "$@"; then
        echo "== $name FAILED: $*" >&2
        exit 1
    fi
    echo "== $name passed in $((SECONDS - began)) s"
}

chosen=("$@")
need_rust
need_component fmt rustfmt
need_component clippy clippy
install_what_is_missing
step fmt cargo fmt --check
step lint cargo clippy --locked --all-targets -- -D warnings
step doc env RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps
step test cargo test --locked
# Millions of steps, so optimised: every order of events in small rooms, one search after the other, since each takes all cores;
# ten thousand seeds of the simulator; and the bugs that both have to catch.
checked=(env CARGO_PROFILE_DEV_OPT_LEVEL=2 cargo test --locked --features planted)
step model "${checked[@]}" --test model -- --nocapture --test-threads 1
step planted "${checked[@]}" --test sim planted -- --nocapture
step seeds env P2PCHAT_SEEDS=1-10000 "${checked[@]}" --test sim whatever -- --nocapture
echo "== all passed"
