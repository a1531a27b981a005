# Shared by the scripts of deploy/ and .ci/: sourced, never run. Leaves the caller in the
# checkout's root; CALLER is where that was called from. No shebang: it is no program.
# shellcheck shell=bash

CALLER=$PWD
ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)
cd -- "$ROOT" || exit

# rustup's own place, for shells that were open before it was installed.
case ":$PATH:" in
*":${CARGO_HOME:-${HOME:-/nonexistent}/.cargo}/bin:"*) ;;
*) PATH=$PATH:${CARGO_HOME:-${HOME:-/nonexistent}/.cargo}/bin ;;
esac

say() { printf '%s\n' "$*" >&2; }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# at_least HAVE WANT: whether the dotted version HAVE is WANT or later.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# need_cargo: dies unless cargo is there and as new as the workspace asks for.
need_cargo() {
    local want have
    want=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
    command -v cargo >/dev/null ||
        die "cargo not found: install Rust $want or later with rustup (https://rustup.rs), open a new shell and run this again"
    have=$(cargo --version | sed 's/^cargo \([0-9.]*\).*/\1/')
    at_least "$have" "$want" ||
        die "Rust $want or later is needed, cargo here is $have: run 'rustup update stable'"
}

# from_caller PATH: the path as the caller meant it, absolute.
from_caller() {
    case $1 in
    /*) printf '%s\n' "$1" ;;
    *) printf '%s\n' "$CALLER/$1" ;;
    esac
}

# build_farm [CARGO_OPTIONS]: the programs of a farm. Of the whole workspace, as deploy/test does: features follow
# from the packages that are named, and a choice of them would compile a third of the dependencies for both.
build_farm() {
    cargo build --release --locked "$@" --workspace --bin atelier --bin atelier-coordinator --bin atelier-worker
}

# took SECONDS_AT_START: the time since, for people.
took() {
    local s=$((SECONDS - $1))
    if [ "$s" -lt 60 ]; then printf '%d s' "$s"; else printf '%d min %02d s' $((s / 60)) $((s % 60)); fi
}
