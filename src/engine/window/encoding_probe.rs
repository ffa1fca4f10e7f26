//! Which column holds the bytes that a source cannot send: the server does not report it.

use crate::error::{Error, Result};
use crate::pg::{Session, SourceTransaction};
use crate::schema::Scalar;
use crate::sql::ident;
use crate::template::{Template, wrap};
use futures::StreamExt;

/// Whether an error is about the encoding of a text: not valid in it, or without counterpart in UTF-8.
pub fn is_about_encoding(error: &Error) -> bool {
    matches!(error.sqlstate(), Some("22021" | "22P05"))
}

/// Fetches the columns that can hold text one by one, and gives the first whose bytes the source cannot send. `None`
/// when all can be sent now.
///
/// # Errors
/// The source's, about anything else.
pub async fn column_not_in_utf8<'t>(
    session: &Session,
    template: &'t Template,
    query: &str,
    transaction: SourceTransaction<'_>,
) -> Result<Option<&'t str>> {
    use Scalar::{Json, Jsonb, Name, Text, Varchar};
    for column in &template.columns {
        if !matches!(column.ty.scalar, Text | Varchar | Name | Json | Jsonb) {
            continue;
        }
        transaction.begin(session).await?;
        let sql = format!(
            "COPY (SELECT (q.{})::{} FROM {}) TO STDOUT (FORMAT binary)",
            ident(&column.name),
            column.ty.bare(),
            wrap(query)
        );
        let sent: Result<()> = async {
            let mut rows = session.copy_out(&sql).await?;
            while let Some(chunk) = rows.next().await {
                chunk?;
            }
            Ok(())
        }
        .await;
        session.batch("ROLLBACK").await?;
        match sent {
            Err(error) if is_about_encoding(&error) => return Ok(Some(&column.name)),
            other => other?,
        }
    }
    Ok(None)
}
