//! Data falls one way, and so do imports: the floors drawn in ARCHITECTURE.md, checked against every path in `src/` and `rows/src/`.

use crate::support::imports::{Module, Uses, circles, of_texts, uses};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Folders whose inside must be drawn, too.
const DRAWN: [&str; 5] = ["src", "engine", "pg", "catalog", "warehouse"];

#[test]
fn no_module_imports_upwards_or_sideways() {
    let floors = floors(&architecture());
    let wrong = against(&floors, &sources());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_two_files_import_each_other() {
    let uses = sources();
    let name = |module: &Module| module.join("::");
    let circles: Vec<String> = circles(&uses)
        .iter()
        .map(|circle| circle.iter().map(name).collect::<Vec<_>>().join(", "))
        .collect();
    assert!(circles.is_empty(), "\n{}", circles.join("\n"));
}

#[test]
fn every_room_has_its_floor() {
    let floors = floors(&architecture());
    let uses = sources();
    for folder in DRAWN {
        let drawn: BTreeSet<&String> = floors[folder].keys().collect();
        let inside = prefix(folder);
        let there: BTreeSet<&String> = uses
            .keys()
            .filter(|module| module.starts_with(&inside))
            .filter_map(|module| module.get(inside.len()))
            .filter(|name| *name != "main")
            .collect();
        assert_eq!(drawn, there, "the rooms of {folder}");
    }
}

#[test]
fn every_spelling_of_an_import_is_read() {
    let text = "use crate::b::{self as bee, deep::{Deep, deeper::Deeper}};\n\
        use super::c;\nuse b::Shown;\npub use super::d::Passed;\n\
        /// [`crate::e`] is only named, and so is \"crate::e\".\nfn f() { c::call(); crate::f::x::<u8>(\"crate::e\", 'e'); bee::g::h() }\n\
        mod tests { use super::super::i::*; }\n";
    let mut texts: BTreeMap<Module, String> = ["b", "c", "d", "e", "f", "i"]
        .map(|name| (vec![name.to_owned()], String::new()))
        .into();
    for (module, text) in [("b::deep", "pub struct Deep;"), ("b::g", ""), ("a", text)] {
        texts.insert(path(module), text.to_owned());
    }
    texts.insert(path("b"), "pub use crate::d::Shown;".to_owned());
    let seen: Vec<String> = of_texts(&texts)[&path("a")]
        .iter()
        .map(|module| module.join("::"))
        .collect();
    assert_eq!(seen, ["b", "b::deep", "b::g", "c", "f", "i"]);
}

#[test]
fn an_arrow_upwards_and_a_circle_are_found() {
    let drawn = floors("```layers\nsrc\n  upper\n  lower\nlower\n  x\n  y\n```\n");
    let texts = [
        ("upper", "use crate::lower::x::X;"),
        ("lower", ""),
        ("lower::x", "use super::y::Y;"),
        ("lower::y", "use crate::upper; fn f() { super::x::f() }"),
    ];
    let texts = texts.map(|(module, text)| (path(module), text.to_owned()));
    let uses = of_texts(&texts.into());
    assert_eq!(
        against(&drawn, &uses),
        ["lower::y uses lower::x", "lower::y uses upper"]
    );
    assert_eq!(circles(&uses).len(), 1);
}

fn architecture() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    std::fs::read_to_string(file).unwrap()
}

fn sources() -> Uses {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    uses(&[&project.join("src"), &project.join("rows/src")])
}

fn path(text: &str) -> Module {
    text.split("::").map(str::to_owned).collect()
}

/// The path of a drawn folder's rooms.
fn prefix(folder: &str) -> Module {
    if folder == "src" {
        Module::new()
    } else {
        vec![folder.to_owned()]
    }
}

/// Per folder the floor of each room, counted from the top, as the blocks marked `layers` draw them.
fn floors(text: &str) -> BTreeMap<String, BTreeMap<String, usize>> {
    let mut floors: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for block in text.split("```layers\n").skip(1) {
        let mut folder = String::new();
        for (floor, line) in block.split("```").next().unwrap().lines().enumerate() {
            let (rooms, _) = line.split_once('#').unwrap_or((line, ""));
            if !line.starts_with(' ') {
                folder = rooms.trim().to_owned();
                continue;
            }
            let rooms = rooms
                .split_whitespace()
                .map(|room| (room.to_owned(), floor));
            floors.entry(folder.clone()).or_default().extend(rooms);
        }
    }
    floors
}

/// The uses that the drawing forbids: of a room on the same floor, or on one above.
fn against(floors: &BTreeMap<String, BTreeMap<String, usize>>, uses: &Uses) -> Vec<String> {
    let mut wrong = Vec::new();
    for (folder, floors) in floors {
        let inside = prefix(folder);
        let room = |module: &Module| {
            let name = module.strip_prefix(inside.as_slice())?.first()?;
            floors.get(name).map(|floor| (name.clone(), *floor))
        };
        for (from, seen) in uses {
            for to in seen {
                if let (Some(upper), Some(lower)) = (room(from), room(to))
                    && upper.0 != lower.0
                    && upper.1 >= lower.1
                {
                    wrong.push(format!("{} uses {}", from.join("::"), to.join("::")));
                }
            }
        }
    }
    wrong
}
