//! Commands that messages name exist, with the options that are named with them.

use crate::support::world::{Output, command};
use std::collections::BTreeMap;
use std::path::Path;

/// Commands that do nothing without days.
const NEED_DAYS: [&str; 2] = ["backfill", "refresh"];
const DAYS: [&str; 4] = ["--from", "--last", "--year", "--outdated"];

/// The files of a folder and those below it, with their texts.
pub fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((path.display().to_string(), text));
        }
    }
}

/// The program's text without comments; a string that goes on in the next line is one line.
pub fn code(text: &str) -> String {
    let lines = text.lines().filter(|l| !l.trim_start().starts_with("//"));
    let mut code = String::new();
    for line in lines {
        match line.strip_suffix('\\') {
            Some(begun) if code.ends_with('\0') => {
                code.pop();
                code.push_str(begun.trim_start());
                code.push('\0');
            }
            Some(begun) => {
                code.push_str(begun);
                code.push('\0');
            }
            None if code.ends_with('\0') => {
                code.pop();
                code.push_str(line.trim_start());
                code.push('\n');
            }
            None => {
                code.push_str(line);
                code.push('\n');
            }
        }
    }
    code
}

/// Every `dayhaul …` in backticks.
fn named(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, opening) in code.match_indices("`dayhaul ") {
        let rest = &code[at + 1..];
        if let Some(end) = rest
            .find(['`', '\n'])
            .filter(|end| rest[*end..].starts_with('`'))
        {
            found.push(rest[opening.len() - 1..end].to_owned());
        }
    }
    found
}

#[derive(Default)]
struct Helps(BTreeMap<String, Option<String>>);

impl Helps {
    /// The help of a command, if there is such a command.
    fn of(&mut self, path: &[&str]) -> Option<&str> {
        let key = path.join(" ");
        let help = self.0.entry(key).or_insert_with(|| {
            let folder = tempfile::tempdir().unwrap();
            let args = [path, &["--help"]].concat();
            let out = Output::of(&mut command(folder.path(), &args));
            (out.code == 0).then_some(out.stdout)
        });
        help.as_deref()
    }

    /// What is wrong with a command line as a message names it.
    fn fault(&mut self, line: &str) -> Option<String> {
        let is_name = |w: &&str| w.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        let words: Vec<_> = line.split_whitespace().collect();
        // `dayhaul {command}` and `dayhaul …` name none.
        let name = words.first().copied().filter(is_name)?;
        let mut path = vec![name];
        let Some(help) = self.of(&path) else {
            return Some("no such command".to_owned());
        };
        let mut help = help.to_owned();
        if help.contains("\nCommands:\n") {
            let second = words.get(1).filter(|w| is_name(w))?;
            path.push(second);
            match self.of(&path) {
                Some(below) => help = below.to_owned(),
                None => return Some("no such command".to_owned()),
            }
        }
        for word in &words {
            let flag = word
                .trim_start_matches('[')
                .split(['=', ']'])
                .next()
                .unwrap();
            let is_flag = flag.starts_with("--") && flag.len() > 2 && !flag.contains('{');
            let mut there = help.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
            if is_flag && !there.any(|t| t == flag) {
                return Some(format!("no option {flag}"));
            }
        }
        let days = words.iter().any(|w| DAYS.contains(w) || *w == "…");
        if NEED_DAYS.contains(&name) && !days {
            return Some("needs days".to_owned());
        }
        None
    }
}

#[test]
fn every_command_that_a_message_names_can_be_run() {
    let mut files = Vec::new();
    for folder in ["src", "rows/src"] {
        sources(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
            &mut files,
        );
    }
    let mut helps = Helps::default();
    let (mut seen, mut wrong) = (0, Vec::new());
    for (file, text) in &files {
        for line in named(&code(text)) {
            seen += 1;
            let fault = helps.fault(&line);
            wrong.extend(fault.map(|fault| format!("{file}: `dayhaul {line}`: {fault}")));
        }
    }
    assert!(seen > 30, "only {seen} commands were found");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_wrong_command_or_option_is_found() {
    let text = "\"run `dayhaul tenant \\\n    show acme` or `dayhaul status --check`\" // x\n// `dayhaul nonsense`\n";
    let lines = named(&code(text));
    assert_eq!(
        lines,
        [" tenant show acme", " status --check"].map(str::trim)
    );
    let mut helps = Helps::default();
    assert!(lines.iter().all(|line| helps.fault(line).is_none()));
    for wrong in [
        "tenant shew acme",
        "status --chekc",
        "backfill --tenant acme",
    ] {
        assert!(helps.fault(wrong).is_some(), "{wrong}");
    }
}
