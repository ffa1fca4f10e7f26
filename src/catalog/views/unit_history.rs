//! One unit's life, put together from all that the catalog and its table know of it.

use crate::catalog::Tenant;
use crate::catalog::ledger::objects::{self, Object};
use crate::catalog::registry::{templates, tenants};
use crate::catalog::runs::history::{self, UnitAttempt, unsigned};
use crate::catalog::runs::lease;
use crate::error::Result;
use crate::pg::{Row, Session, ToSql};
use crate::sql::{ident, qualified, within};
use crate::template::Template;
use crate::unit::{Day, TemplateName, TenantName, Unit, Window};
use chrono::{DateTime, Utc};

/// What is known of a unit.
#[derive(Debug, Clone)]
pub struct UnitHistory {
    pub tenant: Tenant,
    pub template: Template,
    pub day: Day,
    /// `None` when the template was never enabled for the tenant.
    pub pair: Option<PairFacts>,
    pub now: UnitState,
    /// Its Parquet file, and whether that holds just its rows.
    pub object: Option<(Object, bool)>,
    /// Where its rows are; `None` when it has none to be found.
    pub place: Option<RowsFound>,
    /// What runs did to it, in order.
    pub attempts: Vec<UnitAttempt>,
    /// The run that holds the pair now.
    pub held_by: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairFacts {
    pub enabled: bool,
    pub first_day: Option<Day>,
    pub fold_line: Option<Day>,
}

/// The unit's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnitState {
    NeverTried,
    Failed {
        error: String,
        tries: i32,
    },
    /// In a staging table, which no view shows yet.
    Staged {
        rows: LedgerRows,
        /// Why its year, or an earlier try of the day, failed.
        error: Option<String>,
    },
    Loaded {
        rows: LedgerRows,
        loaded_at: Option<DateTime<Utc>>,
        checked: Checked,
    },
    /// In its file alone.
    Landed {
        rows: LedgerRows,
        landed_at: Option<DateTime<Utc>>,
        checked: Checked,
    },
}

/// When a unit was last compared with its source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checked {
    /// The date that counts: `--today`, where it was given.
    pub on: Option<Day>,
    pub at: Option<DateTime<Utc>>,
}

/// The rows of a unit, as the ledger knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRows {
    pub rows: u64,
    pub bytes: u64,
    pub digest: Option<String>,
    /// Of the template.
    pub version: String,
    /// `schema.table`.
    pub relation: Option<String>,
}

/// A relation, and how many rows of the day it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowsFound {
    pub relation: String,
    /// `None` when the relation is not there.
    pub rows: Option<u64>,
}

impl UnitState {
    /// Its rows, shown or not.
    pub fn rows(&self) -> Option<&LedgerRows> {
        match self {
            UnitState::Staged { rows, .. }
            | UnitState::Loaded { rows, .. }
            | UnitState::Landed { rows, .. } => Some(rows),
            UnitState::NeverTried | UnitState::Failed { .. } => None,
        }
    }

    /// When it was last compared with its source, if it has rows that readers may see.
    pub fn checked(&self) -> Option<Checked> {
        match self {
            UnitState::Loaded { checked, .. } | UnitState::Landed { checked, .. } => Some(*checked),
            _ => None,
        }
    }

    /// In one word.
    pub fn word(&self) -> &'static str {
        match self {
            UnitState::NeverTried => "never_tried",
            UnitState::Failed { .. } => "failed",
            UnitState::Staged { .. } => "staged",
            UnitState::Loaded { .. } => "loaded",
            UnitState::Landed { .. } => "landed",
        }
    }
}

/// Reads a unit's life.
///
/// # Errors
/// The tenant or the template is unknown, and the nearest is suggested; the warehouse's.
pub async fn read(
    session: &Session,
    tenant: &TenantName,
    template: &TemplateName,
    day: Day,
) -> Result<UnitHistory> {
    let tenant = tenants::get(session, tenant).await?;
    let template = templates::get(session, template).await?.template;
    let unit = Unit {
        tenant: tenant.name.clone(),
        template: template.name.clone(),
        day,
    };
    let (now, object) = now(session, &unit).await?;
    let place = match now.rows().and_then(|rows| rows.relation.as_deref()) {
        Some(relation) => Some(find(session, relation, &template, day).await?),
        None => None,
    };
    Ok(UnitHistory {
        pair: pair(session, &unit).await?,
        attempts: history::attempts(session, &unit).await?,
        held_by: lease::holder_now(session, &unit.tenant, &unit.template).await?,
        tenant,
        template,
        day,
        now,
        object,
        place,
    })
}

async fn pair(session: &Session, unit: &Unit) -> Result<Option<PairFacts>> {
    let wh = session.catalog();
    let row = session
        .query_opt(
            &format!("SELECT enabled, first_day, fold_line FROM {wh}.pair WHERE tenant = $1 AND template = $2"),
            &[&unit.tenant, &unit.template],
        )
        .await?;
    Ok(row.map(|row| PairFacts {
        enabled: row.get(0),
        first_day: row.get(1),
        fold_line: row.get(2),
    }))
}

async fn now(session: &Session, unit: &Unit) -> Result<(UnitState, Option<(Object, bool)>)> {
    let wh = session.catalog();
    let key: [&(dyn ToSql + Sync); 3] = [&unit.tenant, &unit.template, &unit.day];
    let ledger = session
        .query_opt(
            &format!("SELECT rows, bytes, digest, version, relation, state, loaded_at, checked_at, error, tries, \
                    object, object_digest, object_bytes, object_rounded, \
                    object_digest IS NOT DISTINCT FROM digest, checked_on \
             FROM {wh}.unit WHERE tenant = $1 AND template = $2 AND day = $3"),
            &key,
        )
        .await?;
    let staged = session
        .query_opt(
            &format!(
                "SELECT rows, bytes, digest, version, relation \
             FROM {wh}.staged WHERE tenant = $1 AND template = $2 AND day = $3"
            ),
            &key,
        )
        .await?;
    let object = ledger
        .as_ref()
        .and_then(|row| Some((objects::object(row, 10)?, row.get(14))));
    let rows = |row: &Row| LedgerRows {
        rows: unsigned(row.get(0)),
        bytes: unsigned(row.get(1)),
        digest: row.get(2),
        version: row.get(3),
        relation: row.get(4),
    };
    let now = match (ledger, staged) {
        (Some(row), _) if row.get::<_, &str>(5) == "loaded" => UnitState::Loaded {
            rows: rows(&row),
            loaded_at: row.get(6),
            checked: checked(&row),
        },
        (ledger, Some(row)) => UnitState::Staged {
            rows: rows(&row),
            error: ledger.and_then(|row| row.get(8)),
        },
        (Some(row), None) if row.get::<_, &str>(5) == "landed" => UnitState::Landed {
            rows: rows(&row),
            landed_at: row.get(6),
            checked: checked(&row),
        },
        (Some(row), None) => UnitState::Failed {
            error: row.get::<_, Option<String>>(8).unwrap_or_default(),
            tries: row.get(9),
        },
        (None, None) => UnitState::NeverTried,
    };
    Ok((now, object))
}

/// From the ledger's row.
fn checked(row: &Row) -> Checked {
    Checked {
        on: row.get(15),
        at: row.get(7),
    }
}

async fn find(
    session: &Session,
    relation: &str,
    template: &Template,
    day: Day,
) -> Result<RowsFound> {
    let (schema, name) = relation.split_once('.').unwrap_or(("", relation));
    let (time, ty) = (ident(&template.time_column), template.time_type());
    let counted = session
        .query_one(
            &format!(
                "SELECT count(*) FROM {} WHERE {}",
                qualified(schema, name),
                within(&time, Window::single(day), ty)
            ),
            &[],
        )
        .await;
    let rows = match counted {
        Ok(row) => Some(unsigned(row.get(0))),
        Err(error) if matches!(error.sqlstate(), Some("42P01" | "3F000")) => None,
        Err(error) => return Err(error),
    };
    Ok(RowsFound {
        relation: relation.to_owned(),
        rows,
    })
}
