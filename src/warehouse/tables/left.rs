//! What could not be cleaned away behind a step that is committed: named, and tried again by the next run. It is never that
//! step's failure.

use super::dependents::{Dependent, dependents};
use super::transaction::about_locks;
use crate::error::{Error, Kind, Result};
use crate::pg::Session;

/// Gives back an error that a table may stay with.
///
/// # Errors
/// `error` itself when it is not about the table: the connection or the pair's lock is lost, or the ledger forbids it.
pub fn about_the_table(error: Error) -> Result<Error> {
    if about_locks(&error) || error.kind() == Kind::Sql {
        Ok(error)
    } else {
        Err(error)
    }
}

/// A hidden table, or hidden rows, that could not be removed now.
#[derive(Debug)]
pub struct Left {
    /// `schema.table`.
    pub relation: String,
    pub error: Error,
    /// What somebody built on the table: it has to go first.
    pub dependents: Vec<Dependent>,
    /// The table stays, and rows in it that should have been deleted.
    pub rows_stay: bool,
}

impl Left {
    /// The table that `error` kept from being dropped.
    ///
    /// # Errors
    /// `error` itself when it is not about the table.
    pub async fn table(session: &Session, schema: &str, table: &str, error: Error) -> Result<Left> {
        let error = about_the_table(error)?;
        let dependents = if error.sqlstate() == Some("2BP01") {
            dependents(session, schema, &[table.to_owned()]).await?
        } else {
            Vec::new()
        };
        Ok(Left {
            relation: format!("{schema}.{table}"),
            error,
            dependents,
            rows_stay: false,
        })
    }

    /// Rows of the table that `error` kept from being deleted.
    ///
    /// # Errors
    /// `error` itself when it is not about the table.
    pub fn rows(schema: &str, table: &str, error: Error) -> Result<Left> {
        Ok(Left {
            relation: format!("{schema}.{table}"),
            error: about_the_table(error)?,
            dependents: Vec::new(),
            rows_stay: true,
        })
    }

    /// Whether a reader holds it: it goes by itself. Otherwise a person has to look.
    pub fn is_held(&self) -> bool {
        about_locks(&self.error)
    }

    /// What a person should know: the object, and what to run.
    pub fn warning(&self) -> String {
        let relation = &self.relation;
        if self.is_held() {
            return format!("`{relation}` is still being read; the next run drops it");
        }
        let drops: Vec<_> = self.dependents.iter().map(Dependent::sql).collect();
        let names: Vec<_> = self.dependents.iter().map(|d| d.what.as_str()).collect();
        match (&drops[..], self.rows_stay) {
            ([], true) => format!(
                "hidden rows of `{relation}` could not be deleted: {}{}",
                self.error,
                self.hint()
            ),
            ([], false) => format!(
                "the hidden table `{relation}` could not be dropped: {}{}",
                self.error,
                self.hint()
            ),
            _ => format!(
                "the hidden table `{relation}` cannot be dropped while it is read by {}, which shows old rows; \
                 the next run drops it after: {}",
                names.join(", "),
                drops.join("; ")
            ),
        }
    }

    fn hint(&self) -> String {
        let hint = self.error.hint();
        hint.map_or_else(String::new, |hint| format!("; {hint}"))
    }
}
