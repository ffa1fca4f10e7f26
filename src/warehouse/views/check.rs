//! Whether the views show what the catalog says. Reads only, view by view, with no lock but that of a reader.

use super::definition::{Definition, public_query, shows_nothing, tenant_query};
use crate::catalog::Pair;
use crate::catalog::by_pair::put;
use crate::catalog::registry::pair_states;
use crate::catalog::registry::{fold_line, relations, tenant_views};
use crate::error::{Error, Result};
use crate::pg::Session;
use crate::template::Template;
use crate::unit::{PairNames, TemplateName, TenantName};
use crate::warehouse::place::Place;
use crate::warehouse::tables::definitions::day_table;
use crate::warehouse::tables::shape::Shape;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// What stands where a view of ours should be.
pub enum Current {
    Nothing,
    /// `None`: its query is not of the kind that Dayhaul writes.
    View(Option<Definition>),
    /// What it is instead, as people call it.
    Other(&'static str),
}

/// What is wrong with a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WrongView {
    Missing,
    /// It does not show these relations (`schema.name`), which hold rows.
    Lacks(Vec<String>),
    /// It was replaced: readers see something else.
    Changed,
    /// Something else has its name.
    Other(&'static str),
}

/// A view that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OddView {
    /// `schema.name`.
    pub view: String,
    pub template: TemplateName,
    /// `None`: the public view.
    pub tenant: Option<TenantName>,
    pub wrong: WrongView,
}

impl WrongView {
    /// In one word, for programs.
    pub fn as_str(&self) -> &'static str {
        match self {
            WrongView::Missing => "missing",
            WrongView::Lacks(_) => "incomplete",
            WrongView::Changed => "changed",
            WrongView::Other(_) => "not_a_view",
        }
    }

    /// Whether Dayhaul may replace it.
    pub fn is_repairable(&self) -> bool {
        !matches!(self, WrongView::Other(_))
    }
}

impl fmt::Display for OddView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let view = &self.view;
        match &self.wrong {
            WrongView::Missing => write!(f, "view `{view}` is missing"),
            WrongView::Changed => write!(f, "view `{view}` was changed: readers see other rows"),
            WrongView::Other(what) => write!(f, "`{view}` is {what}, not Dayhaul's view"),
            WrongView::Lacks(relations) => {
                let relations: Vec<_> = relations.iter().map(|r| format!("`{r}`")).collect();
                write!(f, "view `{view}` does not show {}", relations.join(", "))
            }
        }
    }
}

/// Refuses to replace what is no view.
pub fn refuse_other(current: &Current, schema: &str, name: &str) -> Result<()> {
    let Current::Other(what) = current else {
        return Ok(());
    };
    Err(Error::refused(format!(
        "`{schema}.{name}` is {what}, not Dayhaul's view"
    ))
    .with_hint("Dayhaul replaces only views of its own: rename or move it, then run the same command again"))
}

/// What has a view's name.
pub async fn current(session: &Session, schema: &str, name: &str) -> Result<Current> {
    let row = session
        .query_opt(
            "SELECT c.relkind::text, CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) END \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = $1 AND c.relname = $2",
            &[&schema, &name],
        )
        .await?;
    Ok(row.map_or(Current::Nothing, |row| found(row.get(0), row.get(1))))
}

fn found(kind: &str, query: Option<&str>) -> Current {
    match kind {
        "v" => Current::View(query.and_then(Definition::parse)),
        "m" => Current::Other("a materialized view"),
        "f" => Current::Other("a foreign table"),
        "S" => Current::Other("a sequence"),
        "i" | "I" => Current::Other("an index"),
        "c" => Current::Other("a type"),
        _ => Current::Other("a table"),
    }
}

/// The tenant views of pairs, in their order, as far as they are views.
///
/// # Errors
/// The warehouse's.
pub async fn tenant_views(
    session: &Session,
    places: &[Place<'_>],
) -> Result<Vec<Option<Definition>>> {
    let schemas: Vec<&str> = places.iter().map(|place| place.schema.as_str()).collect();
    let names: Vec<&str> = places
        .iter()
        .map(|place| place.template.name.as_str())
        .collect();
    let rows = session
        .query(
            "SELECT t.n, pg_get_viewdef(c.oid) \
             FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS t (schema_name, name, n) \
             JOIN pg_namespace n ON n.nspname = t.schema_name \
             JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.name AND c.relkind = 'v'",
            &[&schemas, &names],
        )
        .await?;
    let mut views = vec![None; places.len()];
    for row in &rows {
        let query: Option<&str> = row.get(1);
        put(&mut views, row.get(0), query.and_then(Definition::parse));
    }
    Ok(views)
}

/// The relations (`schema.name`) that a view reads, as this session's snapshot sees it; `None` when the view does not exist.
///
/// # Errors
/// The warehouse's.
pub async fn reads(
    session: &Session,
    schema: &str,
    view: &str,
) -> Result<Option<BTreeSet<(String, String)>>> {
    let rows = session
        .query(
            "SELECT DISTINCT n2.nspname::text, c2.relname::text FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN pg_rewrite w ON w.ev_class = c.oid \
             LEFT JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid \
                  AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> c.oid \
             LEFT JOIN pg_class c2 ON c2.oid = d.refobjid LEFT JOIN pg_namespace n2 ON n2.oid = c2.relnamespace \
             WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind = 'v'",
            &[&schema, &view],
        )
        .await?;
    if rows.is_empty() {
        return Ok(None);
    }
    Ok(Some(
        rows.iter()
            .filter_map(|row| row.get::<_, Option<String>>(0).zip(row.get(1)))
            .collect(),
    ))
}

/// What is wrong with a pair's tenant view over `shape`. Tables of days that hold no loaded day may wait for readers.
pub async fn wrong_tenant_view(
    session: &Session,
    place: Place<'_>,
    shape: &Shape,
) -> Result<Option<WrongView>> {
    let (schema, template) = (place.schema.as_str(), place.template);
    if shows_nothing(template, shape) {
        return Ok(None);
    }
    let query = tenant_query(place, shape);
    let differing = match compare(session, schema, template, &query).await? {
        Compared::Well => return Ok(None),
        Compared::Wrong(wrong) => return Ok(Some(wrong)),
        Compared::Lacks(relations) => relations,
    };
    let days = shape.days.iter();
    let days: BTreeSet<String> = days.map(|day| day_table(&template.name, *day)).collect();
    let (days, years): (Vec<_>, Vec<_>) = differing
        .into_iter()
        .partition(|(_, table)| days.contains(table));
    let mut lacking = names(years);
    let days = names(days);
    lacking.extend(relations::that_hold_days(session, place.tenant, &template.name, &days).await?);
    Ok((!lacking.is_empty()).then_some(WrongView::Lacks(lacking)))
}

/// What is wrong with the public view of a template.
pub async fn wrong_public_view(
    session: &Session,
    template: &Template,
) -> Result<Option<WrongView>> {
    let schemas = tenant_views::schemas(session, &template.name).await?;
    if schemas.is_empty() {
        return Ok(None);
    }
    let public = session.schemas().public.as_str();
    let query = public_query(template, &schemas);
    Ok(match compare(session, public, template, &query).await? {
        Compared::Well => None,
        Compared::Wrong(wrong) => Some(wrong),
        Compared::Lacks(relations) => Some(WrongView::Lacks(names(relations))),
    })
}

/// How a view compares with what it should be.
enum Compared {
    Well,
    Wrong(WrongView),
    /// It does not show these relations.
    Lacks(BTreeSet<(String, String)>),
}

async fn compare(
    session: &Session,
    schema: &str,
    template: &Template,
    query: &str,
) -> Result<Compared> {
    let expected = Definition::parse(query);
    let found = match current(session, schema, template.name.as_str()).await? {
        Current::Nothing => return Ok(Compared::Wrong(WrongView::Missing)),
        Current::Other(what) => return Ok(Compared::Wrong(WrongView::Other(what))),
        Current::View(found) if found == expected => return Ok(Compared::Well),
        Current::View(found) => found,
    };
    let (Some(found), Some(expected)) = (found, expected) else {
        return Ok(Compared::Wrong(WrongView::Changed));
    };
    let shown = found.reads();
    let differing = found.differences(&expected);
    if differing.iter().any(|relation| shown.contains(relation)) {
        return Ok(Compared::Wrong(WrongView::Changed));
    }
    Ok(Compared::Lacks(differing))
}

/// As `schema.name`.
fn names(relations: impl IntoIterator<Item = (String, String)>) -> Vec<String> {
    let relations = relations.into_iter();
    relations
        .map(|(schema, name)| format!("{schema}.{name}"))
        .collect()
}

/// How often a view is looked at before it counts as wrong: a run may be about to replace it.
const LOOKS: usize = 3;
const BETWEEN_LOOKS: Duration = Duration::from_millis(150);

/// Whether a view is the one that a pair of this shape should have.
pub fn is_tenant_view(view: Option<&Definition>, place: Place<'_>, shape: &Shape) -> bool {
    let query = || tenant_query(place, shape);
    view.is_some_and(|view| Definition::parse(&query()).as_ref() == Some(view))
}

/// Whether the views of pairs show what they should at the first look, which is one for all of them. A pair of which nothing
/// was ever loaded has no view yet.
async fn are_right(session: &Session, places: &[Place<'_>]) -> Result<Vec<bool>> {
    let names: Vec<PairNames<'_>> = places.iter().map(Place::names).collect();
    let states = pair_states::of_pairs(session, &names).await?;
    let relations = relations::of_pairs(session, &names).await?;
    let views = tenant_views(session, places).await?;
    let found = places.iter().zip(states).zip(relations).zip(views);
    Ok(found
        .map(|(((place, state), (relations, _)), view)| {
            let Some(line) = state.line else { return true };
            let shape = Shape::new(line, &relations);
            shows_nothing(place.template, &shape) || is_tenant_view(view.as_ref(), *place, &shape)
        })
        .collect())
}

/// The views of `pairs`, and the public views of their templates, that are not what they should be.
///
/// # Errors
/// The warehouse's.
pub async fn odd_views(session: &Session, pairs: &[Pair]) -> Result<Vec<OddView>> {
    let mut odd = Vec::new();
    let places: Vec<Place<'_>> = pairs.iter().map(Place::of).collect();
    let right = are_right(session, &places).await?;
    for (pair, _) in pairs.iter().zip(right).filter(|(_, right)| !right) {
        let (place, template) = (Place::of(pair), &pair.template);
        let wrong = surely(async || {
            let (tenant, name) = (place.tenant, &template.name);
            let Some(line) = fold_line::get(session, tenant, name).await? else {
                return Ok(None);
            };
            let tables = relations::tables_there(session, tenant, name).await?;
            wrong_tenant_view(session, place, &Shape::new(line, &tables)).await
        });
        if let Some(wrong) = wrong.await? {
            odd.push(OddView {
                view: format!("{}.{}", place.schema, template.name),
                template: template.name.clone(),
                tenant: Some(place.tenant.clone()),
                wrong,
            });
        }
    }
    let mut seen = BTreeSet::new();
    for template in pairs.iter().map(|pair| &pair.template) {
        if !seen.insert(&template.name) {
            continue;
        }
        let wrong = surely(async || wrong_public_view(session, template).await);
        if let Some(wrong) = wrong.await? {
            odd.push(OddView {
                view: format!("{}.{}", session.schemas().public, template.name),
                template: template.name.clone(),
                tenant: None,
                wrong,
            });
        }
    }
    Ok(odd)
}

/// What is wrong each time that one looks.
async fn surely(look: impl AsyncFn() -> Result<Option<WrongView>>) -> Result<Option<WrongView>> {
    let mut wrong = look().await?;
    for _ in 1..LOOKS {
        if wrong.is_none() {
            break;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
        wrong = look().await?;
    }
    Ok(wrong)
}
