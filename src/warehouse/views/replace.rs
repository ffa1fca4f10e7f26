//! Replaces views, and keeps what people set on them.
//!
//! CREATE OR REPLACE VIEW keeps owner, grants, comments and dependent views, and forgets the options. A view that has other
//! columns than ours cannot be replaced so: it is dropped and made in one transaction, and all of it is set again.

use super::check::{Current, current, refuse_other, wrong_public_view, wrong_tenant_view};
use super::definition::{Definition, public_query, tenant_query};
use crate::catalog::registry::fold_line::{self, FoldLine};
use crate::catalog::registry::relations::{self, Relation, RelationKind};
use crate::catalog::registry::tenant_views;
use crate::error::{At, Error, Kind, Result};
use crate::pg::Session;
use crate::sql::{ident, qualified};
use crate::unit::{Day, TemplateName};
use crate::warehouse::context::WarehouseContext;
use crate::warehouse::place::Place;
use crate::warehouse::tables::definitions::day_table;
use crate::warehouse::tables::shape::Shape;
use crate::warehouse::tables::transaction::{about_locks, patient_transaction, short_transaction};
use crate::warehouse::tables::user_settings::{Header, UserSettings, options_list};
use std::collections::BTreeSet;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64;

/// Replaces the tenant view with one that shows all of `shape`, within a transaction of the caller's. What people set on it
/// stays.
pub async fn replace_tenant_view(
    session: &Session,
    place: Place<'_>,
    shape: &Shape,
    reader: &str,
) -> Result<()> {
    let view = View::of_tenant(place, reader);
    view.replace(session, &tenant_query(place, shape)).await
}

/// A view of ours by its place.
#[derive(Clone, Copy)]
struct View<'a> {
    place: Place<'a>,
    kind: RelationKind,
    schema: &'a str,
    reader: &'a str,
}

impl<'a> View<'a> {
    fn of_tenant(place: Place<'a>, reader: &'a str) -> View<'a> {
        View {
            place,
            kind: RelationKind::TenantView,
            schema: place.schema.as_str(),
            reader,
        }
    }

    fn public(session: &'a Session, place: Place<'a>, reader: &'a str) -> View<'a> {
        View {
            place,
            kind: RelationKind::PublicView,
            schema: session.schemas().public.as_str(),
            reader,
        }
    }

    fn name(&self) -> &str {
        self.place.template.name.as_str()
    }

    fn qualified(&self) -> String {
        qualified(self.schema, self.name())
    }

    /// The view that is there, which may be replaced; `None` when there is none.
    async fn found(&self, session: &Session) -> Result<Option<Header>> {
        let (schema, name) = (self.schema, self.name());
        relations::refuse_foreign(session, schema, &[name.to_owned()]).await?;
        let found = Header::read(session, schema, name).await?;
        if let Some(found) = &found {
            if found.kind != "v" {
                refuse_other(&current(session, schema, name).await?, schema, name)?;
            }
            found.refuse_other_owner(schema, name)?;
        }
        Ok(found)
    }

    /// All that is set on the view that is there.
    async fn set_on_it(&self, session: &Session) -> Result<Option<UserSettings>> {
        let (schema, name) = (self.schema, self.name());
        match self.found(session).await? {
            Some(found) => found.with_grants(session, schema, name).await.map(Some),
            None => Ok(None),
        }
    }

    async fn replace(&self, session: &Session, query: &str) -> Result<()> {
        let found = self.found(session).await?;
        let options = found.as_ref().map_or(&[][..], |found| &found.options);
        session.batch(&self.create(query, options)).await?;
        if found.is_none() {
            self.made(session).await?;
        }
        Ok(())
    }

    fn create(&self, query: &str, options: &[(String, String)]) -> String {
        let (kept, lost): (Vec<_>, Vec<_>) = options
            .iter()
            .cloned()
            .partition(|(key, _)| key != "check_option" || !query.contains("UNION ALL"));
        if !lost.is_empty() {
            tracing::warn!(
                "view `{}.{}` loses its `check_option`: PostgreSQL allows none on a view over several tables",
                self.schema,
                self.name()
            );
        }
        let options = options_list(&kept).map_or_else(String::new, |list| format!(" WITH {list}"));
        format!(
            "CREATE OR REPLACE VIEW {}{options} AS {query}",
            self.qualified()
        )
    }

    /// Lets readers read it.
    async fn granted(&self, session: &Session) -> Result<()> {
        let (view, reader) = (self.qualified(), ident(self.reader));
        session
            .batch(&format!("GRANT SELECT ON {view} TO {reader}"))
            .await
    }

    /// Lets readers read a new view, and writes down that it is ours.
    async fn made(&self, session: &Session) -> Result<()> {
        self.granted(session).await?;
        let tenant = (self.kind == RelationKind::TenantView).then_some(self.place.tenant);
        let relation = Relation {
            schema: self.schema.to_owned(),
            name: self.name().to_owned(),
            kind: self.kind,
            window: None,
        };
        relations::add(session, tenant, &self.place.template.name, &[relation]).await
    }

    /// Makes the view that was dropped, with what was set on it.
    async fn make(&self, session: &Session, query: &str, old: Option<&UserSettings>) -> Result<()> {
        let options = old.map_or(&[][..], |old| &old.header.options);
        session.batch(&self.create(query, options)).await?;
        let Some(old) = old else {
            return self.made(session).await;
        };
        // Whoever made the view that was dropped may have had no readers in mind.
        self.granted(session).await?;
        let columns = self.place.template.columns.iter().map(|c| c.name.as_str());
        let columns: Vec<&str> = columns.chain(["schema_name"]).collect();
        let mut statements = old.restate(self.schema, self.name(), &columns);
        if old.header.owner != old.header.role {
            let owner = ident(&old.header.owner);
            statements.push(format!("ALTER VIEW {} OWNER TO {owner}", self.qualified()));
        }
        session.batch(&statements.join(";")).await
    }
}

/// How long a reader is waited for when the view only lacks days that are not needed yet: the next run tries again,
/// and tables are made days ahead.
const AHEAD_PATIENCE: Duration = Duration::from_secs(2);

/// When the days that lie ahead get into the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ahead {
    /// At once, unless a reader is in the way.
    Now,
    /// A fold follows, which replaces the view anyway.
    WithFold,
}

/// Brings the tenant view and the public view in line with `shape`; touches nothing when they are. Of the days, those
/// up to `today` and those of `days` must be shown; others lie `ahead`, and may have to wait.
///
/// # Errors
/// Refused when a relation of a view's name is not ours; a lock timeout when readers held the view for longer than a BI
/// tool's long query; the warehouse's.
pub async fn show(
    session: &Session,
    place: Place<'_>,
    shape: &Shape,
    today: Day,
    days: &BTreeSet<Day>,
    ahead: Ahead,
    context: WarehouseContext<'_>,
) -> Result<()> {
    let lock_timeout = context.lock_timeout;
    let (schema, name) = (place.schema.as_str(), place.template.name.as_str());
    let expected = Definition::parse(&tenant_query(place, shape));
    let shown = current(session, schema, name).await?;
    refuse_other(&shown, schema, name)?;
    let shown = match shown {
        Current::View(shown) => shown,
        _ => None,
    };
    if shown.is_none() || shown != expected {
        let is_ahead = |day: &&Day| **day > today && !days.contains(*day);
        let coming: BTreeSet<_> = shape
            .days
            .iter()
            .filter(is_ahead)
            .map(|day| (schema.to_owned(), day_table(&place.template.name, *day)))
            .collect();
        let can_wait = shown.zip(expected).is_some_and(|(shown, expected)| {
            let differing = shown.differences(&expected);
            differing.iter().all(|table| coming.contains(table))
        });
        let replaced = if can_wait && ahead == Ahead::WithFold {
            Ok(())
        } else if can_wait {
            patient_transaction(session, lock_timeout, AHEAD_PATIENCE, None, async || {
                replace_tenant_view(session, place, shape, context.reader).await
            })
            .await
        } else {
            replace_or_make(session, place, shape, context).await
        };
        match replaced {
            Err(error) if can_wait && about_locks(&error) => {
                tracing::debug!(%error, "coming days are not in the view yet");
            }
            other => other.at(|| format!("tenant view `{schema}.{name}`"))?,
        }
    }
    show_in_public(session, place, context).await
}

/// Makes the views of a pair anew that are missing or show something else, as far as its tables are there: what is lost is
/// the pair's own error, and the public view is of all tenants. Touches nothing when they are as they should be. The public
/// view of a template in `seen` is looked at only where the pair's own view was made anew.
///
/// # Errors
/// As [`show`].
pub async fn restore(
    session: &Session,
    place: Place<'_>,
    context: WarehouseContext<'_>,
    seen: &mut BTreeSet<TemplateName>,
) -> Result<()> {
    let template = &place.template.name;
    let Some(line) = fold_line::get(session, place.tenant, template).await? else {
        return Ok(());
    };
    let made_anew = restore_tenant_view(session, place, line, context).await?;
    if made_anew || !seen.contains(template) {
        show_in_public(session, place, context).await?;
        seen.insert(template.clone());
    }
    Ok(())
}

/// Whether the view had to be made anew.
async fn restore_tenant_view(
    session: &Session,
    place: Place<'_>,
    line: FoldLine,
    context: WarehouseContext<'_>,
) -> Result<bool> {
    let view = || format!("{}.{}", place.schema, place.template.name);
    let shape = match relations::of_pair(session, place.tenant, &place.template.name).await {
        Ok(owned) => Shape::new(line, &owned),
        Err(error) if error.kind() == Kind::Refused => return Ok(false),
        Err(error) => return Err(error),
    };
    if wrong_tenant_view(session, place, &shape).await?.is_none() {
        return Ok(false);
    }
    replace_or_make(session, place, &shape, context)
        .await
        .at(|| format!("tenant view `{}`", view()))?;
    tracing::warn!(
        "view `{}` was missing or changed outside Dayhaul, and was made anew",
        view()
    );
    Ok(true)
}

/// Replaces the tenant view in a transaction of its own; where its columns are not ours, drops it and makes it.
async fn replace_or_make(
    session: &Session,
    place: Place<'_>,
    shape: &Shape,
    context: WarehouseContext<'_>,
) -> Result<()> {
    let replaced = short_transaction(session, context.lock_timeout, async || {
        replace_tenant_view(session, place, shape, context.reader).await
    });
    match replaced.await {
        Err(error) if has_other_columns(&error) => {
            make_both(session, place, Some(shape), context).await
        }
        other => other,
    }
}

/// Whether CREATE OR REPLACE VIEW failed because the view that is there has other columns.
fn has_other_columns(error: &Error) -> bool {
    error.sqlstate() == Some("42P16")
}

/// Drops both views, the public one first, as readers lock them, and makes them. Without `shape`, the public view alone.
async fn make_both(
    session: &Session,
    place: Place<'_>,
    shape: Option<&Shape>,
    context: WarehouseContext<'_>,
) -> Result<()> {
    let public = View::public(session, place, context.reader);
    let tenant = View::of_tenant(place, context.reader);
    short_transaction(session, context.lock_timeout, async || {
        one_at_a_time(session, &place.template.name).await?;
        let (old_public, old_tenant) = (
            public.set_on_it(session).await?,
            match shape {
                Some(_) => tenant.set_on_it(session).await?,
                None => None,
            },
        );
        let mut views = vec![public.qualified()];
        views.extend(shape.map(|_| tenant.qualified()));
        let drops = views
            .iter()
            .map(|view| format!("DROP VIEW IF EXISTS {view}"));
        let drops = drops.collect::<Vec<_>>().join(";");
        session.batch(&drops).await.map_err(named_dependents)?;
        if let Some(shape) = shape {
            let query = tenant_query(place, shape);
            tenant.make(session, &query, old_tenant.as_ref()).await?;
        }
        let schemas = tenant_views::schemas(session, &place.template.name).await?;
        let query = public_query(place.template, &schemas);
        public.make(session, &query, old_public.as_ref()).await
    })
    .await
}

/// A view that somebody built on one of ours, which has to be dropped because its columns were changed.
fn named_dependents(error: Error) -> Error {
    if error.sqlstate() != Some("2BP01") {
        return error;
    }
    error.with_hint(
        "the columns of Dayhaul's view were changed outside Dayhaul, so it has to be dropped and made anew: \
         drop the views that depend on it, run the same command again, then create them again",
    )
}

/// Two replacements of a public view at once would lose a tenant: one at a time, and the tenants are read after the lock.
async fn one_at_a_time(session: &Session, template: &TemplateName) -> Result<()> {
    let key = xxh3_64(format!("dayhaul public view {template}").as_bytes()).cast_signed();
    session
        .query("SELECT 1 FROM pg_advisory_xact_lock($1)", &[&key])
        .await
        .map(drop)
}

async fn show_in_public(
    session: &Session,
    place: Place<'_>,
    context: WarehouseContext<'_>,
) -> Result<()> {
    let public = View::public(session, place, context.reader);
    if wrong_public_view(session, place.template).await?.is_none() {
        return Ok(());
    }
    let template = &place.template.name;
    let replaced = short_transaction(session, context.lock_timeout, async || {
        one_at_a_time(session, template).await?;
        let schemas = tenant_views::schemas(session, template).await?;
        public
            .replace(session, &public_query(place.template, &schemas))
            .await
    });
    let replaced = match replaced.await {
        Err(error) if has_other_columns(&error) => make_both(session, place, None, context).await,
        other => other,
    };
    replaced.at(|| format!("public view `{}.{template}`", public.schema))?;
    warn_of_lost_views(session, template).await
}

/// Tenants whose view is missing are not in the public view either: nobody should have to notice that by the numbers.
async fn warn_of_lost_views(session: &Session, template: &TemplateName) -> Result<()> {
    for view in tenant_views::lost(session, template).await? {
        tracing::warn!(
            "view `{view}` is missing, so `{}.{template}` does not show its rows",
            session.schemas().public
        );
    }
    Ok(())
}
