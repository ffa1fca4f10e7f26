//! Logins with settings of their own.

use crate::support::server::{self, Database};

/// A login of the test's own, who may read all tables that there are in these schemas.
pub fn reader(database: &Database, schemas: &[&str]) -> String {
    let login = format!("login_{}", server::unique());
    database.run(&format!("CREATE ROLE \"{login}\" LOGIN"));
    for schema in schemas {
        database.run(&format!(
            "GRANT USAGE ON SCHEMA \"{schema}\" TO \"{login}\"; \
             GRANT SELECT ON ALL TABLES IN SCHEMA \"{schema}\" TO \"{login}\""
        ));
    }
    login
}

/// Gives a login settings, as an administrator may.
pub fn set(database: &Database, login: &str, settings: &[(&str, &str)]) {
    for (name, value) in settings {
        database.run(&format!("ALTER ROLE \"{login}\" SET {name} = {value}"));
    }
}
