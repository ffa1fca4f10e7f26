//! Credentials in the files of AWS's own tools, which Dayhaul does not read.

use crate::error::{Error, Result};
use std::path::Path;

/// Variables that name a profile, or a file with profiles.
const PROFILES: [&str; 2] = ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"];
const FILES: [&str; 2] = ["AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"];

/// Where the tools look without such a variable, below the home folder.
const DEFAULT_FILES: [&str; 2] = [".aws/credentials", ".aws/config"];

/// Sets of variables, each of which is enough for the client to have credentials, or to need none. A profile does not
/// matter then.
const ENOUGH: [&[&str]; 7] = [
    &["AWS_ACCESS_KEY_ID"],
    &["AWS_SECRET_ACCESS_KEY"],
    &["AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"],
    &["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"],
    &[
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    ],
    &["AWS_METADATA_ENDPOINT"],
    &["AWS_SKIP_SIGNATURE"],
];

/// Refuses variables that name a profile when nothing else gives credentials: the metadata service that the client would ask
/// is not what they mean, and may give another identity's.
///
/// # Errors
/// A variable that Dayhaul does not read.
pub(super) fn refuse_profile(variable: impl Fn(&str) -> Option<String>) -> Result<()> {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    if has_credentials(&variable) {
        return Ok(());
    }
    let profile = PROFILES
        .iter()
        .find_map(|name| variable(name).map(|value| (*name, value)));
    let file = FILES.iter().find(|name| variable(name).is_some());
    let (name, option) = match (&profile, file) {
        (Some((name, profile)), _) => (*name, format!("--profile {} ", shell_word(profile))),
        (None, Some(name)) => (*name, String::new()),
        (None, None) => return Ok(()),
    };
    Err(Error::config(format!(
        "{name} is set, but Dayhaul does not read AWS profiles"
    ))
    .with_hint(format!(
        "run `{}` first, which also works for SSO; set AWS_REGION too",
        export(&option)
    )))
}

/// What to say of a default file when credentials fail.
pub(super) fn note_of_default_file(
    variable: impl Fn(&str) -> Option<String>,
    exists: impl Fn(&Path) -> bool,
) -> Option<String> {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    if has_credentials(&variable) {
        return None;
    }
    let home = variable("HOME")?;
    let mut files = DEFAULT_FILES.iter();
    let file = files.find(|file| exists(&Path::new(&home).join(file)))?;
    Some(format!(
        "Dayhaul does not read `~/{file}`: run `{}` first",
        export("")
    ))
}

fn export(option: &str) -> String {
    format!("eval \"$(aws configure export-credentials {option}--format env)\"")
}

fn has_credentials(variable: &impl Fn(&str) -> Option<String>) -> bool {
    ENOUGH
        .iter()
        .any(|names| names.iter().all(|name| variable(name).is_some()))
}

/// A word that a shell reads as it is, within `"$(…)"` too.
fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@/:+".contains(c);
    if word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<'a>(variables: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| {
            let mut found = variables.iter().filter(|(n, _)| *n == name);
            found.next().map(|(_, value)| (*value).to_owned())
        }
    }

    #[test]
    fn a_profile_that_is_not_read_is_named_with_a_command() {
        for (variables, name, option) in [
            (
                &[("AWS_PROFILE", "prod")][..],
                "AWS_PROFILE",
                "--profile prod ",
            ),
            (
                &[("AWS_PROFILE", "bob's own"), ("AWS_CONFIG_FILE", "/c")],
                "AWS_PROFILE",
                r"--profile 'bob'\''s own' ",
            ),
            (
                &[("AWS_DEFAULT_PROFILE", "a"), ("AWS_ROLE_ARN", "arn")],
                "AWS_DEFAULT_PROFILE",
                "--profile a ",
            ),
            (&[("AWS_CONFIG_FILE", "/c")], "AWS_CONFIG_FILE", ""),
            (
                &[
                    ("AWS_PROFILE", ""),
                    ("AWS_SHARED_CREDENTIALS_FILE", "/c"),
                    ("AWS_REGION", "eu-west-1"),
                ],
                "AWS_SHARED_CREDENTIALS_FILE",
                "",
            ),
        ] {
            let error = refuse_profile(of(variables)).unwrap_err();
            let message = format!("{name} is set, but Dayhaul does not read AWS profiles");
            assert_eq!(error.message(), message);
            let command =
                format!("`eval \"$(aws configure export-credentials {option}--format env)\"`");
            assert!(error.hint().unwrap().contains(&command), "{error:?}");
        }
    }

    #[test]
    fn a_profile_beside_other_credentials_does_not_matter() {
        refuse_profile(of(&[])).unwrap();
        for others in ENOUGH {
            let mut variables = vec![("AWS_PROFILE", "prod")];
            variables.extend(others.iter().map(|name| (*name, "true")));
            refuse_profile(of(&variables)).unwrap();
            variables.push(("HOME", "/home/me"));
            assert_eq!(note_of_default_file(of(&variables), |_| true), None);
        }
    }

    #[test]
    fn a_default_file_is_only_named() {
        let home = [("HOME", "/home/me")];
        refuse_profile(of(&home)).unwrap();
        let config = |path: &Path| path == Path::new("/home/me/.aws/config");
        let note = note_of_default_file(of(&home), config).unwrap();
        assert!(note.starts_with("Dayhaul does not read `~/.aws/config`: run `eval "));
        assert_eq!(note_of_default_file(of(&home), |_| false), None);
        assert_eq!(note_of_default_file(of(&[]), |_| true), None);
    }
}
