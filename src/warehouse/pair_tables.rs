//! The tables and views of pairs as they are when a run has locked them: asked once for all pairs. A pair that has all that
//! its days need costs no further statement.

use super::context::WarehouseContext;
use super::place::Place;
use super::tables::obstacles::may_have_obstacles;
use super::tables::prepare::{are_ready, missing_tables};
use super::tables::shape::Shape;
use super::views::{Definition, is_tenant_view, shows_nothing, tenant_views};
use crate::catalog::registry::pair_states::{self, PairState};
use crate::catalog::registry::relations::{self, Relation, RelationKind};
use crate::error::Result;
use crate::pg::Session;
use crate::unit::{Day, PairNames};
use std::collections::BTreeSet;

/// What there is of a pair.
#[derive(Clone)]
pub struct PairTables {
    pub state: PairState,
    relations: Vec<Relation>,
    /// All tables of the catalog exist.
    complete: bool,
    /// The tenant's schema exists, and readers may use it.
    schema_ready: bool,
    view: Option<Definition>,
    /// Others may have built on its tables, or publish them.
    pub may_have_obstacles: bool,
}

/// Reads it for all pairs, in their order. Without `changes_tables` views are not looked at: that waits for whoever locks a
/// table of theirs.
///
/// # Errors
/// The warehouse's.
pub async fn pair_tables(
    session: &Session,
    places: &[Place<'_>],
    context: WarehouseContext<'_>,
    changes_tables: bool,
) -> Result<Vec<PairTables>> {
    let names: Vec<PairNames<'_>> = places.iter().map(Place::names).collect();
    let states = pair_states::of_pairs(session, &names).await?;
    let relations = relations::of_pairs(session, &names).await?;
    let ready = are_ready(session, places, context.reader).await?;
    let (views, obstacles) = if changes_tables {
        (
            tenant_views(session, places).await?,
            may_have_obstacles(session, places, context).await?,
        )
    } else {
        (vec![None; places.len()], vec![false; places.len()])
    };
    let found = states
        .into_iter()
        .zip(relations)
        .zip(ready)
        .zip(views)
        .zip(obstacles);
    Ok(found
        .map(
            |((((state, (relations, complete)), schema_ready), view), may_have_obstacles)| {
                PairTables {
                    state,
                    relations,
                    complete,
                    schema_ready,
                    view,
                    may_have_obstacles,
                }
            },
        )
        .collect())
}

impl PairTables {
    fn shape(&self) -> Option<Shape> {
        Some(Shape::new(self.state.line?, &self.relations))
    }

    /// Whether the view shows what it should: then it need not be looked at again.
    pub fn is_view_right(&self, place: Place<'_>) -> bool {
        let Some(shape) = self.shape().filter(|_| self.complete) else {
            return false;
        };
        !shows_nothing(place.template, &shape) && self.shows(place, &shape)
    }

    fn shows(&self, place: Place<'_>, shape: &Shape) -> bool {
        is_tenant_view(self.view.as_ref(), place, shape)
    }

    /// The shape, if nothing has to be made, dropped or written down before the days `todo` can be worked on.
    pub fn ready_for(
        &self,
        place: Place<'_>,
        requested: &BTreeSet<Day>,
        todo: &BTreeSet<Day>,
        today: Day,
    ) -> Option<Shape> {
        let shape = self.shape()?;
        let first = self.state.first_day;
        let remembered = requested
            .first()
            .is_none_or(|day| first.is_some_and(|first| first <= *day));
        let kind = |r: &Relation| matches!(r.kind, RelationKind::Retired | RelationKind::Staging);
        let left = self.state.has_staged || self.relations.iter().any(kind);
        let ready = self.complete
            && self.schema_ready
            && remembered
            && !left
            && missing_tables(place, &shape, todo, today).is_empty()
            && self.shows(place, &shape);
        ready.then_some(shape)
    }
}
