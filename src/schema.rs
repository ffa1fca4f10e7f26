//! Columns: what a template can declare, and which source types convert to it without loss. No I/O.
//!
//! # Type support
//!
//! The supported types are those in [`Scalar`] and one-dimensional arrays of each. Their binary COPY representation is
//! the same on every server, so rows are forwarded without re-encoding and have the same digest on both sides. These are
//! refused with an alternative: `char(n)`, `bit(n)`, time types and intervals with precision or
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
    /// Whether the source may round to the declared scale: the cast then has precision and scale.
    pub round: bool,
    /// How a numeric without precision lands as Parquet. Rows in the warehouse do not depend on it, so it is not part of
    /// the template's version.
    pub land: Option<LandAs>,
    /// How its values are masked when they are copied to a laptop. The warehouse holds the real values, so it is not part
    /// of the template's version.
    pub mask: Option<Mask>,
}

impl Column {
    /// The type the source casts to: without modifier, unless the column has `round = true`.
    pub fn cast(&self) -> PgType {
        if self.round { self.ty } else { self.ty.bare() }
    }
}

/// A column of a query, as the tenant's server describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceColumn {
    pub name: String,
    /// As PostgreSQL's `format_type` prints it, with length and precision.
    pub type_name: String,
    /// The type without modifier; `None` when it is not supported.
    pub ty: Option<PgType>,
    /// The type with its length or precision, when requested and present.
    pub modifier: Option<PgType>,
}
