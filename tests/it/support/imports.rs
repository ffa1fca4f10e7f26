//! Which source file uses which: imports and paths, read from the text of the sources.
//!
//! Read are `use` trees and every path that begins with `crate`, `self`, `super`, an imported module or a child module.
//! A name that a module re-exports counts for the file that defines it. `mod` lines and `pub use` are no use.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A module by its path from the crate's root: `["pg", "net", "tls"]`. The root is empty.
pub type Module = Vec<String>;

/// From each file's module to the modules of other files that it uses.
pub type Uses = BTreeMap<Module, BTreeSet<Module>>;

/// Reads every `.rs` file below `roots`, as if they were one crate: the first shows the modules of the others as its own.
pub fn uses(roots: &[&Path]) -> Uses {
    let mut texts = BTreeMap::new();
    for root in roots.iter().rev() {
        read(root, root, &mut texts);
    }
    of_texts(&texts)
}

/// The same of texts that are at hand.
pub fn of_texts(texts: &BTreeMap<Module, String>) -> Uses {
    let files: BTreeMap<Module, File> = texts
        .iter()
        .map(|(module, text)| (module.clone(), File::parse(module, text, texts)))
        .collect();
    let mut uses = Uses::new();
    for (module, file) in &files {
        let seen = file
            .paths
            .iter()
            .filter_map(|path| definer(&files, path, 0));
        let seen = seen.filter(|other| other != module && !other.is_empty());
        uses.insert(module.clone(), seen.collect());
    }
    uses
}

/// Files that use each other, directly or through others: each circle's files.
pub fn circles(uses: &Uses) -> Vec<BTreeSet<Module>> {
    let reach: BTreeMap<&Module, BTreeSet<&Module>> =
        uses.keys().map(|m| (m, reachable(uses, m))).collect();
    let mut found: Vec<BTreeSet<Module>> = Vec::new();
    for (module, seen) in &reach {
        if !seen.contains(module) || found.iter().any(|circle| circle.contains(*module)) {
            continue;
        }
        let back = |other: &&&Module| reach.get(**other).is_some_and(|r| r.contains(module));
        found.push(seen.iter().filter(back).map(|m| (*m).clone()).collect());
    }
    found
}

fn reachable<'a>(uses: &'a Uses, from: &Module) -> BTreeSet<&'a Module> {
    let mut seen = BTreeSet::new();
    let mut next: Vec<&Module> = uses[from].iter().collect();
    while let Some(module) = next.pop() {
        if seen.insert(module) {
            next.extend(uses.get(module).into_iter().flatten());
        }
    }
    seen
}

fn read(src: &Path, folder: &Path, texts: &mut BTreeMap<Module, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(src, &path, texts);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let inside = path.strip_prefix(src).unwrap().with_extension("");
            let mut module: Module = inside
                .iter()
                .map(|part| part.to_str().unwrap().to_owned())
                .collect();
            if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
                module.pop();
            }
            texts.insert(module, std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// The module that defines what a path names: through re-exports, `None` for what is not of this crate.
fn definer(files: &BTreeMap<Module, File>, path: &[String], depth: usize) -> Option<Module> {
    let length = (0..=path.len())
        .rev()
        .find(|n| files.contains_key(&path[..*n]))?;
    let (module, rest) = path.split_at(length);
    if let Some(name) = rest.first()
        && depth < 8
        && let Some(elsewhere) = files[module].exports.get(name)
    {
        let whole: Vec<String> = elsewhere.iter().chain(&rest[1..]).cloned().collect();
        return definer(files, &whole, depth + 1);
    }
    Some(module.to_vec())
}

/// What a file's text says of other modules, all paths from the root.
#[derive(Default)]
struct File {
    paths: Vec<Module>,
    /// Names that it re-exports, and what they are.
    exports: BTreeMap<String, Module>,
}

impl File {
    fn parse(module: &[String], text: &str, texts: &BTreeMap<Module, String>) -> File {
        let tokens = tokens(text);
        let mut file = File::default();
        let mut names: BTreeMap<String, Module> = BTreeMap::new();
        // The modules within the file that the current token is in, each with its depth of braces.
        let mut inner: Vec<(String, usize)> = Vec::new();
        let (mut at, mut depth) = (0, 0);
        while at < tokens.len() {
            let mut base = module.to_vec();
            base.extend(inner.iter().map(|(name, _)| name.clone()));
            match tokens[at].as_str() {
                "mod" if tokens.get(at + 2).is_some_and(|t| t == "{") => {
                    inner.push((tokens[at + 1].clone(), depth));
                    at += 2;
                }
                "{" => {
                    depth += 1;
                    at += 1;
                }
                "}" => {
                    depth -= 1;
                    inner.pop_if(|(_, outside)| *outside == depth);
                    at += 1;
                }
                "use" if tokens.get(at + 1).is_some_and(|t| is_word(t)) => {
                    let public = at > 0 && matches!(tokens[at - 1].as_str(), "pub" | ")");
                    let mut leaves = Vec::new();
                    at = use_tree(&tokens, at + 1, &[], &mut leaves);
                    for (path, name) in leaves {
                        let Some(path) = absolute(&base, &path, &names, texts) else {
                            continue;
                        };
                        if public && inner.is_empty() {
                            file.exports.insert(name, path);
                        } else {
                            names.insert(name, path.clone());
                            file.paths.push(path);
                        }
                    }
                }
                word if is_word(word) => {
                    let (path, next) = path_at(&tokens, at);
                    let after_path = at > 0 && tokens[at - 1] == "::";
                    if path.len() > 1 && !after_path {
                        file.paths.extend(absolute(&base, &path, &names, texts));
                    }
                    at = next;
                }
                _ => at += 1,
            }
        }
        file
    }
}

/// A path from the root, of a path as it is written in the module `base`.
fn absolute(
    base: &[String],
    path: &[String],
    names: &BTreeMap<String, Module>,
    texts: &BTreeMap<Module, String>,
) -> Option<Module> {
    let mut from = base.to_vec();
    let mut rest = path;
    match rest.first()?.as_str() {
        "crate" => (from, rest) = (Vec::new(), &rest[1..]),
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|word| word == "super") {
                from.pop();
                rest = &rest[1..];
            }
        }
        name => {
            let child: Module = base.iter().cloned().chain([name.to_owned()]).collect();
            if let Some(known) = names.get(name) {
                (from, rest) = (known.clone(), &rest[1..]);
            } else if !texts.contains_key(&child) {
                return None;
            }
        }
    }
    from.extend(rest.iter().cloned());
    Some(from)
}

/// Collects the leaves of a use tree, each with the name that it gets; returns where the tree ends.
fn use_tree(
    tokens: &[String],
    mut at: usize,
    before: &[String],
    leaves: &mut Vec<(Module, String)>,
) -> usize {
    let (mut path, next) = path_at(tokens, at);
    at = next;
    path.splice(0..0, before.iter().cloned());
    match tokens.get(at).map(String::as_str) {
        Some("{") => {
            at += 1;
            while tokens.get(at).is_some_and(|t| t != "}") {
                at = use_tree(tokens, at, &path, leaves);
                if tokens.get(at).is_some_and(|t| t == ",") {
                    at += 1;
                }
            }
            at + 1
        }
        Some("*") => {
            leaves.push((path, "*".to_owned()));
            at + 1
        }
        next => {
            if path.len() > 1 {
                path.pop_if(|last| last == "self");
            }
            let mut name = path.last().cloned().unwrap_or_default();
            if next == Some("as") {
                name.clone_from(&tokens[at + 1]);
                at += 2;
            }
            leaves.push((path, name));
            at
        }
    }
}

/// The words of a path, `a::b::c`, and the token after it. A trailing `::` (before a brace or a star) is taken, too.
fn path_at(tokens: &[String], mut at: usize) -> (Module, usize) {
    let mut path = Vec::new();
    while tokens.get(at).is_some_and(|t| is_word(t)) {
        path.push(tokens[at].clone());
        at += 1;
        if tokens.get(at).is_none_or(|t| t != "::") {
            break;
        }
        at += 1;
    }
    (path, at)
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Words, `::` and single signs; comments, strings and characters left out.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = if c.is_whitespace() {
            c.len_utf8()
        } else if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = literal(rest) {
            length
        } else {
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            let length = match word.unwrap_or(rest.len()) {
                0 if rest.starts_with("::") => 2,
                0 => c.len_utf8(),
                length => length,
            };
            tokens.push(rest[..length].to_owned());
            length
        };
        rest = &rest[length..];
    }
    tokens
}

/// The length of the string or character that a text begins with.
fn literal(text: &str) -> Option<usize> {
    let bare = text.trim_start_matches(['b', 'c']);
    let prefix = text.len() - bare.len();
    if prefix <= 1
        && let Some(raw) = bare.strip_prefix('r')
        && let hashes = raw.len() - raw.trim_start_matches('#').len()
        && raw[hashes..].starts_with('"')
    {
        let close = format!("\"{}", "#".repeat(hashes));
        let end = raw[hashes + 1..].find(&close)?;
        return Some(prefix + 1 + hashes + 1 + end + close.len());
    }
    let quote = bare
        .chars()
        .next()
        .filter(|c| prefix <= 1 && matches!(c, '"' | '\''))?;
    let mut escaped = false;
    for (i, c) in bare.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(prefix + i + 1),
            // A lifetime, not a character.
            _ if quote == '\'' && i > 1 && !bare.starts_with("'\\") => return None,
            _ => {}
        }
    }
    None
}
