//! The help of every command, as snapshots: a change of words is a reviewed change. `INSTA_UPDATE=always cargo test help`
//! accepts new ones.

use crate::support::world::{Output, command};

fn help_of(path: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let args = [path, &["--help"]].concat();
    Output::of(&mut command(folder.path(), &args)).ok().stdout
}

/// The names under `Commands:`.
fn subcommands(help: &str) -> Vec<String> {
    let names = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty());
    names
        // Continued descriptions are indented further.
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// Every command, with the commands below it.
pub fn all(path: &[&str], found: &mut Vec<(String, String)>) {
    let help = help_of(path);
    for name in subcommands(&help) {
        all(&[path, &[&name]].concat(), found);
    }
    found.push((path.join("_"), help));
}

#[test]
fn the_help_of_every_command_is_as_it_was_reviewed() {
    let mut found = Vec::new();
    all(&[], &mut found);
    assert!(found.len() > 30, "{}", found.len());
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (name, help) in &found {
            insta::assert_snapshot!(format!("help_{}", name.replace('-', "_")), help);
        }
    });
}

#[test]
fn help_fits_into_80_columns_and_shows_examples() {
    let mut found = Vec::new();
    all(&[], &mut found);
    for (name, help) in &found {
        for line in help.lines() {
            assert!(line.chars().count() <= 80, "{name}: {line}");
        }
        assert!(help.contains("\nExamples:\n"), "{name}: {help}");
        let own = help.find("\nGlobal options:\n").expect("global options");
        let after = &help[own..];
        for heading in ["\nSelection:\n", "\nLocks:\n", "\nOptions:\n"] {
            assert!(!after.contains(heading), "{name}: {heading}");
        }
    }
}
