# The usual commands. `just` lists them.

_default:
    @just --list --unsorted

# Build the program as it is released: target/release/dayhaul
build:
    scripts/with-postgres cargo build --release

# Run the whole test suite
test *args:
    #!/usr/bin/env bash
    set -euo pipefail
    if cargo nextest --version >/dev/null 2>&1; then
        scripts/with-postgres cargo nextest run {{ args }}
    else
        scripts/with-postgres cargo test {{ args }}
    fi

# Run the integration tests whose name contains NAME, with their output
one name:
    scripts/with-postgres cargo test --test it {{ name }} -- --nocapture

# Accept changed help and messages into tests/it/promises/snapshots; review the diff
words:
    INSTA_UPDATE=always scripts/with-postgres cargo test --test it -- promises::help promises::messages

# Run the unit tests whose name contains NAME
unit name="":
    cargo test --workspace --lib {{ name }}

# Format, then let clippy find what is left
lint:
    cargo fmt --all
    cargo clippy --all-targets -- -D warnings

# Build the documentation of the library; a broken link is an error
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items

# Check licenses, sources, duplicate versions and security advisories of the dependencies
deny:
    cargo deny check

# Measure the inner loops: codec, intake, landing, plan
bench name="intake":
    cargo bench --bench {{ name }}

# Everything a change must pass
ci:
    .ci/run
