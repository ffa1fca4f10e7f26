//! Service files and the environment, resolved.

use super::parse::Url;
use super::resolved::Target;
use super::values::Values;
use crate::error::Result;
use secrecy::ExposeSecret;

/// Resolves with a user's file, a system's file and variables.
fn resolve(
    user: &str,
    system: &str,
    vars: &[(&str, &str)],
    url: &str,
) -> Result<(Target, Option<String>)> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mine.conf");
    std::fs::write(&path, user).unwrap();
    std::fs::write(dir.path().join("pg_service.conf"), system).unwrap();
    let env = |name: &str| match name {
        "PGSERVICEFILE" => Some(path.display().to_string()),
        "PGSYSCONFDIR" => Some(dir.path().display().to_string()),
        _ => vars
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, v)| (*v).to_owned()),
    };
    let url = Url::parse(url)?;
    let values = Values::of(&url, &env)?;
    let password = values.password().map(|p| p.expose_secret().to_owned());
    Ok((Target::of(&values)?, password))
}

#[test]
fn a_service_wins_over_the_environment_and_loses_to_what_is_written() {
    let file = "# mine\n[other]\nhost=no\n\n[wh]\n  host=h1  \nport=7\nport=8\ndbname=d=x\nuser=eve\n\
                password=hunter2\n[wh2]\nhost=no\n";
    let vars = [
        ("PGSERVICE", "wh"),
        ("PGHOST", "env"),
        ("PGUSER", "env"),
        ("PGPASSWORD", "env"),
        ("PGAPPNAME", "app"),
    ];
    let (target, password) = resolve(file, "", &vars, "postgres://ann@/").unwrap();
    assert_eq!(target.hosts[0].to_string(), "h1:7");
    assert_eq!(
        (target.user.as_str(), target.dbname.as_str()),
        ("ann", "d=x")
    );
    assert_eq!(target.application_name.as_deref(), Some("app"));
    assert_eq!(password.as_deref(), Some("hunter2"));
    let (target, _) = resolve(file, "", &vars, "service=wh2 user=u").unwrap();
    assert_eq!(target.hosts[0].to_string(), "no:5432");
}

#[test]
fn the_systems_file_is_read_when_the_users_has_no_such_section() {
    let (target, _) = resolve("[a]\nhost=a\n", "[b]\nhost=b\n", &[], "service=b").unwrap();
    assert_eq!(target.hosts[0].name, "b");
    let error = resolve("[a]\n", "[b]\n", &[("PGSERVICE", "c")], "").unwrap_err();
    assert!(error.to_string().contains("service `c` is not defined"));
}

#[test]
fn a_line_that_is_not_understood_is_named_by_its_number_and_never_repeated() {
    for (line, part) in [
        ("hunter2", "expected `key=value`"),
        ("service=hunter2", "another service"),
        ("pasword=hunter2", "unknown key `pasword`"),
        ("ldap://hunter2=x", "LDAP"),
        ("sslmode=hunter2", "sslmode"),
        ("options=-c hunter2", "service `wh`: key `options`"),
    ] {
        let error = resolve(&format!("[wh]\n{line}\n"), "", &[], "service=wh").unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(part), "{line}: {shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn what_libpq_would_honor_is_refused_by_name_or_honored() {
    for (variable, value, refused) in [
        ("PGOPTIONS", "-c role=hunter2", true),
        ("PGREQUIREAUTH", "scram-sha-256", true),
        ("PGGSSENCMODE", "require", true),
        ("PGGSSENCMODE", "prefer", false),
        ("PGREQUIREPEER", "postgres", true),
        ("PGSSLCRL", "/hunter2", true),
        ("PGSSLCRLDIR", "/hunter2", true),
        ("PGSSLCERTMODE", "require", true),
        ("PGSSLCERTMODE", "disable", false),
        ("PGTZ", "Asia/Tokyo", false),
    ] {
        let env = |name: &str| (name == variable).then(|| value.to_owned());
        let result = Target::resolve(&Url::parse("host=h").unwrap(), &env);
        assert_eq!(result.is_err(), refused, "{variable}={value}");
        if let Err(error) = result {
            let shown = format!("{error} {:?}", error.hint());
            assert!(shown.contains(&format!("`{variable}`")), "{shown}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}

#[test]
fn a_password_ends_before_its_line_break() {
    for text in ["pw", "pw\n", "pw\r\n"] {
        let env = |name: &str| (name == "PGPASSWORD").then(|| text.to_owned());
        let url = Url::parse("host=h").unwrap();
        let found = Values::of(&url, &env).unwrap().password().unwrap();
        assert_eq!(found.expose_secret(), "pw");
    }
}
