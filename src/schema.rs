//! Columns: what a template may declare, and which source types reach it without loss. Pure, no I/O.
//!
//! # Type support
//!
//! The allow-list is [`Scalar`], and one-dimensional arrays of each. Only types whose binary COPY representation is the
//! same bytes on every server are on it, so that rows can be forwarded without being re-encoded and their digest holds
//! on both sides. Refused, with what to write instead: `char(n)`, `bit(n)`, time types and intervals with precision or
//! fields, numeric with a negative scale, length or precision inside arrays, money, reg*, xml, composites, user types.

pub mod arrow;
mod mask;
mod pg_type;

pub use arrow::LandAs;
pub use mask::{HASH_DIGITS, Mask, Salt};
pub use pg_type::{Modifier, PgType, Scalar};

/// One column of a template.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Column {
    pub name: String,
    pub ty: PgType,
    /// The source may round to the declared scale: the cast carries precision and scale.
    pub round: bool,
    /// How a numeric without precision lands as Parquet. What the warehouse holds does not depend on it, so it is no
    /// part of a template's version.
    pub land: Option<LandAs>,
    /// How its values are masked where they leave for a laptop. The warehouse itself holds the true ones, so it is no part
    /// of a template's version.
    pub mask: Option<Mask>,
}

impl Column {
    /// The type the source casts to: without modifier, unless the column says `round = true`.
    pub fn cast(&self) -> PgType {
        if self.round { self.ty } else { self.ty.bare() }
    }
}

/// One column of a query, as a tenant's server describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceColumn {
    pub name: String,
    /// As PostgreSQL's `format_type` spells it, with length and precision.
    pub type_name: String,
    /// The type without modifier; `None` when it is not on the allow-list.
    pub ty: Option<PgType>,
    /// The type with its length or precision, when that was asked for and there is one.
    pub modifier: Option<PgType>,
}
