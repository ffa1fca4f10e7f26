//! How the columns that a query returns at a tenant differ from the template's.

use super::definition::Template;
use crate::error::{Error, Kind, Result};
use crate::schema::{PgType, SourceColumn};
use crate::sql::ident;

/// A difference between a query's columns and a template's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// The template declares it, the query does not return it.
    Missing(String),
    /// The query returns it, the template does not declare it.
    Extra { name: String, type_name: String },
    /// The query returns it more than once.
    Twice(String),
    /// The source's type does not convert to the declared one unchanged.
    Lossy {
        name: String,
        type_name: String,
        declared: PgType,
    },
}

impl Mismatch {
    /// The column it is about.
    pub fn column(&self) -> &str {
        match self {
            Mismatch::Missing(name)
            | Mismatch::Extra { name, .. }
            | Mismatch::Twice(name)
            | Mismatch::Lossy { name, .. } => name,
        }
    }

    /// What to write.
    pub fn help(&self) -> String {
        match self {
            Mismatch::Missing(name) => {
                format!(
                    "return it from the query (`… AS {}`), or remove it from `[columns]`",
                    shown(name)
                )
            }
            Mismatch::Extra { name, type_name } => match PgType::parse(type_name) {
                Ok(ty) => format!(
                    "declare `{} = \"{ty}\"`, or remove it from the query",
                    shown(name)
                ),
                Err(e) => format!("remove it from the query, or declare it: {}", e.message()),
            },
            Mismatch::Twice(name) => {
                format!("rename one of them: `… AS {}_2`", shown(name))
            }
            Mismatch::Lossy { name, declared, .. } => format!(
                "cast it in the query, where the change is visible: `({name})::{} AS {}`",
                declared.bare(),
                shown(name)
            ),
        }
    }
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Mismatch::Missing(name) => write!(f, "the query does not return column `{name}`"),
            Mismatch::Extra { name, type_name } => {
                write!(f, "column `{name}` ({type_name}) is not in the template")
            }
            Mismatch::Twice(name) => write!(f, "the query returns column `{name}` more than once"),
            Mismatch::Lossy {
                name,
                type_name,
                declared,
            } => write!(
                f,
                "column `{name}` is `{type_name}` at the source and `{declared}` in the template, which could change a value"
            ),
        }
    }
}

/// A name as written in SQL: quoted only where necessary.
fn shown(name: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit()) {
        name.to_owned()
    } else {
        ident(name)
    }
}

/// All differences, by column name: first the declared columns in their order, then undeclared ones.
pub fn mismatches(template: &Template, source: &[SourceColumn]) -> Vec<Mismatch> {
    let mut found = Vec::new();
    for column in &template.columns {
        let mut of_that_name = source.iter().filter(|s| s.name == column.name);
        let Some(first) = of_that_name.next() else {
            found.push(Mismatch::Missing(column.name.clone()));
            continue;
        };
        if of_that_name.next().is_some() {
            found.push(Mismatch::Twice(column.name.clone()));
        } else if !first.ty.is_some_and(|ty| column.ty.takes(&ty)) {
            found.push(Mismatch::Lossy {
                name: column.name.clone(),
                type_name: first.type_name.clone(),
                declared: column.ty,
            });
        }
    }
    for column in source {
        let declared = template.columns.iter().any(|c| c.name == column.name);
        if !declared && !found.iter().any(|m| m.column() == column.name) {
            found.push(Mismatch::Extra {
                name: column.name.clone(),
                type_name: column.type_name.clone(),
            });
        }
    }
    found
}

/// Checks that the columns a tenant returns convert to the template's unchanged.
///
/// # Errors
/// [`Kind::Drift`], with every column that is missing, undeclared, duplicated, or of another type.
pub fn check_source(template: &Template, source: &[SourceColumn]) -> Result<()> {
    let found = mismatches(template, source);
    let Some(first) = found.first() else {
        return Ok(());
    };
    let all: Vec<String> = found.iter().map(ToString::to_string).collect();
    Err(Error::new(Kind::Drift, all.join("; ")).with_hint(format!(
        "{}: {}",
        first.column(),
        first.help()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::TemplateName;

    fn template() -> Template {
        let source = "/*\ntime_column = \"t\"\n[columns]\nid = \"bigint\"\n\"Odd \\\"name\\\"\" = \"varchar(5)\"\n\
             n = { type = \"numeric(5,2)\", round = true }\nt = \"timestamptz\"\n*/ SELECT 1 -- end";
        Template::parse(TemplateName::parse("x").unwrap(), source).unwrap()
    }

    fn columns(pairs: &[(&str, &str)]) -> Vec<SourceColumn> {
        pairs
            .iter()
            .map(|(name, ty)| SourceColumn {
                name: (*name).into(),
                type_name: (*ty).into(),
                ty: PgType::parse(ty).ok().map(|t| t.bare()),
                modifier: None,
            })
            .collect()
    }

    #[test]
    fn lossless_columns_in_any_order_pass() {
        let source = columns(&[
            ("t", "timestamptz"),
            ("n", "numeric"),
            ("id", "int"),
            ("Odd \"name\"", "text"),
        ]);
        check_source(&template(), &source).unwrap();
    }

    #[test]
    fn every_difference_is_named() {
        let source = columns(&[
            ("id", "numeric"),
            ("n", "numeric"),
            ("n", "numeric"),
            ("t", "mood"),
            ("x", "text"),
            ("x", "text"),
        ]);
        let e = check_source(&template(), &source).unwrap_err();
        assert_eq!(e.kind(), Kind::Drift);
        assert_eq!(
            e.message(),
            "column `id` is `numeric` at the source and `bigint` in the template, which could change a value; \
             the query does not return column `Odd \"name\"`; the query returns column `n` more than once; \
             column `t` is `mood` at the source and `timestamptz` in the template, which could change a value; \
             column `x` (text) is not in the template"
        );
    }
}
