//! Reads keys and values from the file and the environment, with the location of each.

use super::keys::{KEYS, OTHER_VARIABLES, SWITCHES, all_variables, prefix, variable};
use crate::error::{Error, Result};
use crate::nearest::nearest;
use std::fmt;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// Where a value was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingOrigin {
    /// A file and a line number, from 1.
    File(PathBuf, usize),
    /// An environment variable.
    Variable(String),
    /// The command line.
    Argument,
}

impl fmt::Display for SettingOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SettingOrigin::File(path, line) => write!(f, "{}:{line}", path.display()),
            SettingOrigin::Variable(name) => f.write_str(name),
            SettingOrigin::Argument => f.write_str("the command line"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawValue {
    Text(String),
    List(Vec<String>),
}

#[derive(Debug, Clone)]
pub struct RawSetting {
    pub section: &'static str,
    pub key: &'static str,
    pub value: RawValue,
    pub place: SettingOrigin,
}

/// Reads a configuration file.
///
/// # Errors
/// The file is not TOML, a section or key is unknown, or a value has the wrong type; each with its line. The file's
/// text is never quoted, because it may contain a password by mistake.
pub fn from_file(path: &Path, text: &str) -> Result<Vec<RawSetting>> {
    let at = |offset: usize| SettingOrigin::File(path.to_owned(), line_of(text, offset));
    let table = DeTable::parse(text).map_err(|e| {
        let place = at(e.span().map_or(0, |span| span.start));
        Error::config(format!("invalid TOML: {}", e.message())).at(place.to_string())
    })?;
    let mut entries = Vec::new();
    for (section, keys) in table.get_ref() {
        let place = at(section.span().start);
        let name = section.get_ref().as_ref();
        let known = KEYS.iter().find(|(s, _)| *s == name).ok_or_else(|| {
            unknown(
                &format!("section `[{name}]`"),
                name,
                KEYS.iter().map(|(s, _)| *s),
            )
            .at(place.to_string())
        })?;
        let DeValue::Table(keys) = keys.get_ref() else {
            return Err(
                Error::config(format!("`{name}` is a section: write it as `[{name}]`"))
                    .at(place.to_string()),
            );
        };
        for (key, value) in keys {
            let place = at(key.span().start);
            let name = key.get_ref().as_ref();
            let key = *known.1.iter().find(|k| **k == name).ok_or_else(|| {
                unknown(
                    &format!("key `{name}` in `[{}]`", known.0),
                    name,
                    known.1.iter().copied(),
                )
                .at(place.to_string())
            })?;
            entries.push(RawSetting {
                section: known.0,
                key,
                value: value_of(known.0, key, value).ok_or_else(|| {
                    Error::config(format!(
                        "`{key}` is of type {}; expected {}",
                        value.get_ref().type_str(),
                        takes(known.0, key)
                    ))
                    .at(place.to_string())
                })?,
                place,
            });
        }
    }
    Ok(entries)
}

/// Reads the `DAYHAUL_<SECTION>_<KEY>` variables. An empty one counts as unset.
///
/// # Errors
/// A variable names a known section and an unknown key.
pub fn from_environment(
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Vec<RawSetting>> {
    let mut entries = Vec::new();
    for (name, text) in variables {
        if OTHER_VARIABLES.contains(&name.as_str()) {
            continue;
        }
        let Some((section, keys)) = KEYS.iter().find(|(s, _)| name.starts_with(&prefix(s))) else {
            continue;
        };
        let rest = name[prefix(section).len()..].to_ascii_lowercase();
        let key = *keys.iter().find(|k| **k == rest).ok_or_else(|| {
            let error = Error::config(format!("unknown variable `{name}`"));
            match nearest(&rest, keys.iter().copied()) {
                Some(meant) => {
                    error.with_hint(format!("did you mean `{}`?", variable(section, meant)))
                }
                None => error.with_hint(format!("known names: {}", all_variables(section, keys))),
            }
        })?;
        if text.is_empty() {
            continue;
        }
        let place = SettingOrigin::Variable(name);
        let value = if *section == "secrets" {
            RawValue::List(list_of(&text).map_err(|e| e.at(place.to_string()))?)
        } else {
            RawValue::Text(text)
        };
        entries.push(RawSetting {
            section,
            key,
            value,
            place,
        });
    }
    Ok(entries)
}

fn takes(section: &str, key: &str) -> &'static str {
    if section == "secrets" {
        "a list of strings"
    } else if SWITCHES.contains(&(section, key)) {
        "true or false"
    } else {
        "a quoted string or a whole number"
    }
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Error {
    let error = Error::config(format!("unknown {what}"));
    match nearest(name, known.clone()) {
        Some(meant) => error.with_hint(format!("did you mean `{meant}`?")),
        None => error.with_hint(format!(
            "known names: {}",
            known.collect::<Vec<_>>().join(", ")
        )),
    }
}

fn value_of(section: &str, key: &str, value: &Spanned<DeValue<'_>>) -> Option<RawValue> {
    match value.get_ref() {
        DeValue::Boolean(on) if SWITCHES.contains(&(section, key)) => {
            Some(RawValue::Text(on.to_string()))
        }
        DeValue::String(text) => Some(RawValue::Text(text.to_string())),
        DeValue::Integer(number) => Some(RawValue::Text(number.as_str().to_owned())),
        DeValue::Array(items) => texts(items).map(RawValue::List),
        _ => None,
    }
}

fn texts(items: &DeArray<'_>) -> Option<Vec<String>> {
    items
        .iter()
        .map(|item| item.get_ref().as_str().map(str::to_owned))
        .collect()
}

/// A list in a variable: TOML's `["a", "b"]`, or a single item without brackets.
fn list_of(text: &str) -> Result<Vec<String>> {
    if !text.trim_start().starts_with('[') {
        return Ok(vec![text.to_owned()]);
    }
    DeValue::parse(text.trim())
        .ok()
        .and_then(|value| value.get_ref().as_array().and_then(texts))
        .ok_or_else(|| Error::config("not a list: write `[\"one\", \"two\"]`"))
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1
}
