//! `docs/json.md` as data: which keys each schema's objects have.

use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Keys of one object, by name.
pub type Keys = BTreeMap<String, Key>;

#[derive(Debug, Clone, Copy)]
pub struct Key {
    optional: bool,
    /// Its value is an object whose keys are names from the user's objects, such as columns.
    map: bool,
}

/// A section of the page: schemas that have the same keys.
#[derive(Debug, Default)]
pub struct Section {
    pub schemas: Vec<String>,
    /// By the object's path: `units[].object`, empty for the result itself.
    pub objects: BTreeMap<String, Keys>,
    /// Objects documented elsewhere: path, schema, path there.
    pub same: Vec<(String, String, String)>,
    pub examples: Vec<Value>,
}

pub struct Page(pub Vec<Section>);

impl Page {
    pub fn read(text: &str) -> Page {
        let mut page = Page(vec![Section::default()]);
        let (mut example, mut table) = (None::<String>, None::<String>);
        for line in text.lines() {
            if let Some(json) = &mut example {
                if line == "```" {
                    let parsed = serde_json::from_str(json);
                    let value = parsed.unwrap_or_else(|e| panic!("{e} in the example\n{json}"));
                    page.last().examples.push(value);
                    example = None;
                } else {
                    json.push_str(line);
                    json.push('\n');
                }
            } else if line.starts_with('#') {
                let named = quoted(line).into_iter().filter(|w| w.ends_with("/1"));
                page.0.push(Section {
                    schemas: named.collect(),
                    ..Section::default()
                });
            } else if line == "```json" {
                example = Some(String::new());
            } else if line.starts_with("| object | keys |") {
                table = Some(String::new());
            } else if !line.starts_with('|') {
                table = None;
            } else if let Some(path) = &mut table
                && !line.starts_with("|---")
            {
                page.last().row(line, path);
            }
        }
        page.resolve();
        page
    }

    fn last(&mut self) -> &mut Section {
        self.0.last_mut().expect("a section")
    }

    /// The section of a schema.
    pub fn of(&self, schema: &str) -> Option<usize> {
        self.0
            .iter()
            .position(|s| s.schemas.iter().any(|s| s == schema))
    }

    /// Copies the objects that are documented elsewhere.
    fn resolve(&mut self) {
        for i in 0..self.0.len() {
            for (path, schema, there) in self.0[i].same.clone() {
                let of = self.of(&schema);
                let of = of.unwrap_or_else(|| panic!("no section for `{schema}`"));
                let objects = self.0[of].objects.iter();
                let copied: Vec<(String, Keys)> = objects
                    .filter_map(|(object, keys)| {
                        Some((format!("{path}{}", below(object, &there)?), keys.clone()))
                    })
                    .collect();
                assert!(!copied.is_empty(), "nothing at `{there}` of `{schema}`");
                self.0[i].objects.extend(copied);
            }
        }
    }
}

/// The rest of an object's path below another, if it is there.
fn below(object: &str, above: &str) -> Option<String> {
    if above.is_empty() && !object.is_empty() {
        return Some(format!(".{object}"));
    }
    let rest = object.strip_prefix(above)?;
    (rest.is_empty() || rest.starts_with('.')).then(|| rest.to_owned())
}

impl Section {
    /// A row of a table: object, keys, meaning. An empty object is that of the row above.
    fn row(&mut self, line: &str, path: &mut String) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let Some(named) = quoted(cells[1]).into_iter().next() {
            *path = named;
        }
        let words = quoted(cells[2]);
        if cells[2].starts_with("as ") {
            let there = words.get(1).cloned().unwrap_or_default();
            self.same.push((path.clone(), words[0].clone(), there));
            return;
        }
        let keys = self.objects.entry(path.clone()).or_default();
        for word in words {
            let key = Key {
                optional: word.contains('?'),
                map: word.ends_with("{}"),
            };
            let name = word.trim_end_matches("{}").trim_end_matches('?');
            let before = keys.insert(name.to_owned(), key);
            assert!(
                before.is_none(),
                "`{name}` of `{path}` is documented twice: {line}"
            );
        }
    }

    /// Compares an object, and all below it, with what is documented; notes the keys that were seen.
    pub fn compare(&self, value: &Value, path: &str, seen: &mut Seen) {
        match value {
            Value::Array(all) => all
                .iter()
                .for_each(|one| self.compare(one, &format!("{path}[]"), seen)),
            Value::Object(members) => self.compare_object(members, path, seen),
            _ => {}
        }
    }

    fn compare_object(&self, members: &Map<String, Value>, path: &str, seen: &mut Seen) {
        let place = format!("{} `{path}`", self.schemas[0]);
        let Some(keys) = self.objects.get(path) else {
            seen.wrong
                .insert(format!("{place}: no such object is documented"));
            return;
        };
        for (name, key) in keys {
            if !key.optional && !members.contains_key(name) {
                seen.wrong
                    .insert(format!("{place}: no `{name}`, which is not optional"));
            }
        }
        for (name, member) in members {
            let Some(key) = keys.get(name) else {
                seen.wrong
                    .insert(format!("{place}: `{name}` is not documented"));
                continue;
            };
            seen.keys
                .insert((self.schemas[0].clone(), path.to_owned(), name.clone()));
            let below = format!("{path}{}{name}", if path.is_empty() { "" } else { "." });
            match member {
                Value::Object(entries) if key.map => entries
                    .values()
                    .for_each(|entry| self.compare(entry, &format!("{below}{{}}"), seen)),
                _ => self.compare(member, &below, seen),
            }
        }
    }
}

/// What comparing found.
#[derive(Default)]
pub struct Seen {
    /// Schema, object, key.
    pub keys: BTreeSet<(String, String, String)>,
    pub wrong: BTreeSet<String>,
}

/// The words between backticks.
fn quoted(text: &str) -> Vec<String> {
    let parts = text.split('`').enumerate();
    parts
        .filter(|(i, _)| i % 2 == 1)
        .map(|(_, word)| word.to_owned())
        .collect()
}
