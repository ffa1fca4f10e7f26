//! Whether tables that were just made still belong to Dayhaul: an event trigger may give every new table to somebody else.

use crate::error::{Error, Result};
use crate::pg::Session;
use crate::sql::ident;

/// Refuses when one of these relations of a schema belongs to a role whose rights this session does not have. Nothing that
/// follows could be done with it: its grants, its indexes, its rows.
///
/// # Errors
/// [`Kind::Refused`](crate::error::Kind::Refused), naming the table, its owner and the event triggers; the warehouse's.
pub async fn refuse_other_owner(session: &Session, schema: &str, names: &[String]) -> Result<()> {
    let row = session
        .query_opt(
            "SELECT c.relname::text, pg_get_userbyid(c.relowner)::text, current_user::text, \
               (SELECT string_agg(format('`%s`', evtname), ', ' ORDER BY evtname) FROM pg_event_trigger \
                WHERE evtevent = 'ddl_command_end' AND evtenabled <> 'D') \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = $1 AND c.relname = ANY ($2) AND NOT pg_has_role(c.relowner, 'USAGE') \
             ORDER BY 1 LIMIT 1",
            &[&schema, &names],
        )
        .await?;
    let Some(row) = row else {
        return Ok(());
    };
    let (table, owner, us): (&str, &str, &str) = (row.get(0), row.get(1), row.get(2));
    let triggers = row.get::<_, Option<&str>>(3);
    let who = triggers.map_or_else(String::new, |names| {
        format!(", by an event trigger of this database ({names})")
    });
    Err(Error::refused(format!(
        "table `{schema}.{table}` was given to role `{owner}` as soon as it was created{who}: `{us}` may not use it"
    ))
    .with_hint(format!(
        "make the trigger leave out what `{us}` creates, or run `GRANT {} TO {}`",
        ident(owner),
        ident(us)
    )))
}
