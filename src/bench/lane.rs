//! Where one try happens: a fresh place in the warehouse, and the tenants it is filled from.

use super::ground::Launch;
use crate::error::{At, Result};
use crate::pg::{self, Access, Purpose, Session, Url};
use crate::sql::{ident, literal, qualified};
use crate::template::{Bindings, Template};
use crate::unit::{Day, SchemaName, Window};
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// How a server is reached, by every kind of client.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// libpq's connection string, without a password.
    pub conninfo: String,
    pub password: Option<SecretString>,
}

/// A tenant's database.
#[derive(Debug, Clone)]
pub struct Source {
    /// The tenant, and its schema in the warehouse.
    pub schema: SchemaName,
    pub endpoint: Endpoint,
    /// The reference to its password, as `tenant add` takes it.
    pub password: Option<String>,
    pub vars: BTreeMap<String, String>,
}

/// One try's place.
#[derive(Debug, Clone)]
pub struct Lane {
    /// The database that is written to.
    pub warehouse: Endpoint,
    /// The schema that contestants other than Dayhaul write to.
    pub schema: SchemaName,
    pub sources: Vec<Source>,
    pub template: Arc<Template>,
    pub window: Window,
    /// Sessions for contestants that use several; Dayhaul's `jobs`.
    pub jobs: usize,
    /// Cores of this machine.
    pub cores: usize,
    /// Servers and tenants are the bench's own: they may be changed, and extensions may be made.
    pub is_ours: bool,
    /// How Dayhaul is told about all this.
    pub launch: Launch,
    /// For files of this try.
    pub folder: PathBuf,
    pub psql: PathBuf,
    /// Dayhaul itself.
    pub program: PathBuf,
}

impl Endpoint {
    pub fn trusted(conninfo: String) -> Endpoint {
        Endpoint {
            conninfo,
            password: None,
        }
    }

    /// A session without any settings of ours, as another client would have it.
    ///
    /// # Errors
    /// The server cannot be reached, or does not let us in.
    pub async fn connect(&self) -> Result<Session> {
        let access = Access {
            url: Url::parse(&self.conninfo)?,
            password: self.password.clone(),
        };
        let session = pg::connect(&access, Purpose::Plain).await?;
        let name = literal(&Endpoint::application_name());
        session
            .batch(&format!("SET application_name = {name}"))
            .await?;
        Ok(session)
    }

    /// Tells this bench's sessions from all others.
    pub fn application_name() -> String {
        format!("dayhaul-bench-{}", std::process::id())
    }

    /// The connection string as a literal of SQL, as dblink takes it. `shown` leaves the password out.
    pub fn literal(&self, shown: bool) -> String {
        let text = match &self.password {
            None => self.conninfo.clone(),
            Some(_) if shown => format!("{} password=…", self.conninfo),
            Some(secret) => with_password(&self.conninfo, secret.expose_secret()),
        };
        literal(&text)
    }
}

/// The connection string with a password, in its own notation.
fn with_password(conninfo: &str, password: &str) -> String {
    if conninfo.contains("://") {
        let encoded: String = password
            .bytes()
            .map(|byte| format!("%{byte:02X}"))
            .collect();
        let and = if conninfo.contains('?') { '&' } else { '?' };
        format!("{conninfo}{and}password={encoded}")
    } else {
        let escaped = password.replace('\\', "\\\\").replace('\'', "\\'");
        format!("{conninfo} password='{escaped}'")
    }
}

impl Source {
    /// The template's query for `window`, as the tenant gets it, with its columns in the template's order.
    ///
    /// # Errors
    /// The tenant lacks a variable of the query.
    pub fn query(&self, template: &Template, window: Window) -> Result<String> {
        let bound = self.bound(template, window)?;
        let columns: Vec<String> = template
            .columns
            .iter()
            .map(|c| format!("q.{}", ident(&c.name)))
            .collect();
        let query = crate::template::wrap(bound.trim());
        Ok(format!("SELECT {} FROM {query}", columns.join(", ")))
    }

    /// The template's query for `window`, and nothing around it.
    ///
    /// # Errors
    /// The tenant lacks a variable of the query.
    pub fn bound(&self, template: &Template, window: Window) -> Result<String> {
        template.bind(&Bindings {
            window,
            schema: &self.schema,
            vars: &self.vars,
        })
    }
}

impl Lane {
    /// Whether the warehouse has an extension; in one that is ours it is made.
    ///
    /// # Errors
    /// It cannot be made; the server's.
    pub async fn has_extension(&self, name: &str) -> Result<bool> {
        let session = self.warehouse.connect().await?;
        if self.is_ours {
            let make = format!("CREATE EXTENSION IF NOT EXISTS {name}");
            let made = session.batch(&make).await;
            return made.at(|| format!("extension `{name}`")).map(|()| true);
        }
        let named = literal(name);
        let there = format!("SELECT 1 FROM pg_extension WHERE extname = {named}");
        Ok(!session.simple(&there).await?.rows.is_empty())
    }

    /// The only tenant, or the first of several.
    pub fn source(&self) -> &Source {
        &self.sources[0]
    }

    /// Where days are landed, as a URL.
    pub fn lake(&self) -> String {
        format!("file://{}", self.folder.join("lake").display())
    }

    /// A relation of the contestants' schema: `suffix` follows the template's name.
    pub fn relation(&self, suffix: &str) -> String {
        let name = format!("{}{suffix}", self.template.name);
        qualified(self.schema.as_str(), &name)
    }

    /// The relation of a day.
    pub fn day(&self, day: Day) -> String {
        self.relation(&format!("_{}", day.suffix()))
    }

    /// `"id" bigint, "name" text, …`
    pub fn column_list(&self) -> String {
        let columns = self.template.columns.iter();
        let columns: Vec<String> = columns
            .map(|c| format!("{} {}", ident(&c.name), c.ty))
            .collect();
        columns.join(", ")
    }

    /// The template's indexes on a relation, the unique one first.
    pub fn indexes(&self, relation: &str) -> Vec<String> {
        let list = |columns: &[String]| {
            let columns: Vec<String> = columns.iter().map(|c| ident(c)).collect();
            columns.join(", ")
        };
        let unique = &self.template.unique;
        let unique = (!unique.is_empty())
            .then(|| format!("CREATE UNIQUE INDEX ON {relation} ({})", list(unique)));
        let plain = self.template.indexes.iter();
        unique
            .into_iter()
            .chain(plain.map(|columns| format!("CREATE INDEX ON {relation} ({})", list(columns))))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_reaches_dblink_and_never_the_report() {
        for conninfo in [
            "host=db user=r",
            "postgres://r@db/x",
            "postgres://r@db/x?a=b",
        ] {
            let endpoint = Endpoint {
                conninfo: conninfo.into(),
                password: Some(SecretString::from("p'w\\d")),
            };
            let sent = endpoint.literal(false);
            assert!(sent.contains("password="), "{sent}");
            assert!(!endpoint.literal(true).contains("p'"), "{conninfo}");
            assert!(!endpoint.literal(true).contains("%70"), "{conninfo}");
        }
        assert_eq!(
            with_password("postgres://r@db/x?a=b", "a/"),
            "postgres://r@db/x?a=b&password=%61%2F"
        );
        assert_eq!(with_password("host=db", "a'b"), "host=db password='a\\'b'");
    }
}
