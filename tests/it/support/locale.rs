//! A server that speaks another language than English.

use std::process::Command;

pub const GERMAN: &str = "de_DE.UTF-8";

/// Whether this machine has the locale. If not, the test says that it is skipped; `.ci/run` installs it.
pub fn german() -> bool {
    let known = Command::new("locale").arg("-a").output();
    let known = known.map(|out| String::from_utf8_lossy(&out.stdout).to_lowercase());
    let has = known.is_ok_and(|names| names.lines().any(|name| name == "de_de.utf8"));
    if !has {
        println!("skipped: this machine has no locale {GERMAN}");
    }
    has
}
