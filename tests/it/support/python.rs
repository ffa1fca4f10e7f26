//! A Python with the engines and the object store that tests speak to; `.ci/run` makes one under `target/`.

use std::path::PathBuf;
use std::process::Command;

/// `$DAYHAUL_TEST_PYTHON`, else the one of `.ci/run`, else the system's: the first that has the modules. Without one the
/// test says that it is skipped.
pub fn python(modules: &[&str]) -> Option<PathBuf> {
    let made = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/python/bin/python");
    let named = std::env::var_os("DAYHAUL_TEST_PYTHON").map(PathBuf::from);
    let candidates = named.into_iter().chain([made, PathBuf::from("python3")]);
    let import = format!("import {}", modules.join(", "));
    let found = candidates.into_iter().find(|python| {
        let tried = Command::new(python).args(["-c", &import]).output();
        tried.is_ok_and(|out| out.status.success())
    });
    if found.is_none() {
        eprintln!(
            "skipped: no python3 with {}; .ci/run makes one, or name it in DAYHAUL_TEST_PYTHON",
            modules.join(", ")
        );
    }
    found
}

/// A script of this folder.
pub fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/support")
        .join(name)
}
