//! The columns of a template, and those of a tenant's query.

use super::land_as::LandAs;
use super::mask::Mask;
use super::pg_type::PgType;

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
