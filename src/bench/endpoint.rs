//! How the warehouse and the tenants' databases are reached, by every kind of client.

use crate::error::Result;
use crate::pg::{self, Access, Password, Purpose, SearchPath, Session, SourceTransaction, Url};
use crate::sql::{ident, literal};
use crate::template::{Bindings, Template};
use crate::unit::{SchemaName, Window};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::time::Duration;

/// A database, as libpq's clients address it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// A connection string without a password.
    pub conninfo: String,
    pub password: Option<SecretString>,
}

/// A tenant's database.
#[derive(Debug, Clone)]
pub struct TenantDatabase {
    /// The tenant's name, and its schema in the warehouse.
    pub schema: SchemaName,
    pub endpoint: Endpoint,
    /// The password reference, as `tenant add` takes it.
    pub password: Option<String>,
    pub vars: BTreeMap<String, String>,
    pub source_schema: Option<String>,
    pub search_path: SearchPath,
}

impl Endpoint {
    pub fn without_password(conninfo: String) -> Endpoint {
        Endpoint {
            conninfo,
            password: None,
        }
    }

    /// Opens a session with the settings that any other client would have.
    ///
    /// # Errors
    /// The server cannot be reached, or rejects the login.
    pub async fn connect(&self) -> Result<Session> {
        let access = Access::new(
            Url::parse(&self.conninfo)?,
            self.password
                .clone()
                .map_or(Password::default(), Password::Value),
        );
        let session = pg::connect(&access, Purpose::Plain).await?;
        let name = literal(&Endpoint::application_name());
        session
            .batch(&format!("SET application_name = {name}"))
            .await?;
        Ok(session)
    }

    /// Identifies the sessions of this bench.
    pub fn application_name() -> String {
        format!("dayhaul-bench-{}", std::process::id())
    }

    /// The connection string as an SQL literal, as dblink takes it.
    pub fn literal(&self) -> String {
        match &self.password {
            None => literal(&self.conninfo),
            Some(secret) => literal(&with_password(&self.conninfo, secret.expose_secret())),
        }
    }

    /// The same for a report: without the password.
    pub fn redacted_literal(&self) -> String {
        match &self.password {
            None => literal(&self.conninfo),
            Some(_) => literal(&format!("{} password=…", self.conninfo)),
        }
    }
}

/// Adds a password to a connection string, in the string's own notation.
fn with_password(conninfo: &str, password: &str) -> String {
    if conninfo.contains("://") {
        let separator = if conninfo.contains('?') { '&' } else { '?' };
        let password = utf8_percent_encode(password, NON_ALPHANUMERIC);
        format!("{conninfo}{separator}password={password}")
    } else {
        let escaped = password.replace('\\', "\\\\").replace('\'', "\\'");
        format!("{conninfo} password='{escaped}'")
    }
}

impl TenantDatabase {
    /// Begins a transaction with the settings of a load, for as long as it takes.
    ///
    /// # Errors
    /// As [`SourceTransaction::begin`].
    pub async fn begin(&self, session: &Session) -> Result<()> {
        let transaction = SourceTransaction {
            tenant: self.schema.as_str(),
            search_path: &self.search_path,
            limit: Duration::ZERO,
        };
        transaction.begin(session).await
    }

    /// The template's query for `window`, with the columns in the template's order.
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

    /// The template's query for `window` as it is written.
    ///
    /// # Errors
    /// The tenant lacks a variable of the query.
    pub fn bound(&self, template: &Template, window: Window) -> Result<String> {
        template.bind(&Bindings {
            window,
            schema: &self.schema,
            source_schema: self.source_schema.as_deref(),
            vars: &self.vars,
        })
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
            let sent = endpoint.literal();
            assert!(sent.contains("password="), "{sent}");
            assert!(!endpoint.redacted_literal().contains("p'"), "{conninfo}");
            assert!(!endpoint.redacted_literal().contains("p%"), "{conninfo}");
        }
        assert_eq!(
            with_password("postgres://r@db/x?a=b", "a/"),
            "postgres://r@db/x?a=b&password=a%2F"
        );
        assert_eq!(with_password("host=db", "a'b"), "host=db password='a\\'b'");
    }
}
