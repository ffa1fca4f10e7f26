//! Modules import downwards only: the arrows of the crate's page, checked against the `crate::` paths of the sources.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Who may be seen by whom: a room sees the rooms of lower rank. Rooms of one rank are siblings that do not see each
/// other.
const RANKS: [(&str, u8); 22] = [
    ("day", 0),
    ("os", 0),
    ("error", 1),
    ("nearest", 1),
    ("unit", 2),
    ("schema", 3),
    ("sql", 4),
    ("copy", 5),
    ("config", 6),
    ("template", 6),
    ("cluster", 6),
    ("pg", 7),
    ("catalog", 8),
    ("warehouse", 9),
    ("landing", 9),
    ("probe", 9),
    ("engine", 10),
    ("report", 11),
    ("demo", 11),
    ("bench", 12),
    ("laptop", 12),
    ("cli", 13),
    ("lib", u8::MAX),
];

#[test]
fn no_module_imports_upwards_or_sideways() {
    let ranks: BTreeMap<&str, u8> = RANKS.into();
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for file in sources(&src) {
        let room = room(&src, &file);
        if room == "main" {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let from = *ranks
            .get(room.as_str())
            .unwrap_or_else(|| panic!("`{room}` has no rank"));
        for seen in rooms_seen(&text) {
            let to = *ranks.get(seen.as_str()).unwrap_or(&u8::MAX);
            if seen != room && to >= from {
                wrong.push(format!("{} sees `{seen}`", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_spelling_of_an_import_is_read() {
    let text = "use crate::pg::{self, Session};\nuse crate::{cli, engine::event};\nlet x = crate::unit::Day::today();\n\
                /// [`crate::report`] is only named.\n";
    assert_eq!(rooms_seen(text), ["pg", "cli", "engine", "unit"]);
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files
}

/// The top-level module that a file belongs to.
fn room(src: &Path, file: &Path) -> String {
    let inside = file.strip_prefix(src).unwrap();
    let first = inside.components().next().unwrap();
    let name = first.as_os_str().to_str().unwrap();
    name.trim_end_matches(".rs").to_owned()
}

/// The modules that a text names by a `crate::` path, comments left out.
fn rooms_seen(text: &str) -> Vec<String> {
    let code: Vec<&str> = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or(""))
        .collect();
    let code = code.join("\n");
    let word = |s: &str| -> String {
        s.trim_start()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let mut seen = Vec::new();
    for (at, found) in code.match_indices("crate::") {
        let rest = &code[at + found.len()..];
        match rest.strip_prefix('{') {
            // The names at the first level of the braces.
            Some(list) => {
                let mut depth = 0;
                let mut start = true;
                for (i, c) in list.char_indices() {
                    match c {
                        '}' if depth == 0 => break,
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if start && !c.is_whitespace() => {
                            start = false;
                            seen.push(word(&list[i..]));
                        }
                        _ => {}
                    }
                }
            }
            None => seen.push(word(rest)),
        }
    }
    seen
}
