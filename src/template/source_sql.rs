//! What is sent to a tenant, and whether what the tenant has fits the template.

use super::Template;
use super::mask_sql::masked;
use crate::schema::{Column, Salt};
use crate::sql::{ident, literal};

/// Sent after `BEGIN READ ONLY`: whatever a server, database or role has for settings, the same rows arrive as the same
/// bytes, and `{from}` and `::date` mean UTC. `pg_catalog` is always searched first, without being named.
pub const SOURCE_SETTINGS: &str = "\
SET LOCAL TimeZone = 'UTC';
SET LOCAL DateStyle = 'ISO, MDY';
SET LOCAL IntervalStyle = 'postgres';
SET LOCAL extra_float_digits = 1;
SET LOCAL bytea_output = 'hex';
SET LOCAL standard_conforming_strings = on;
SET LOCAL search_path = public;
";

/// The bound query as an item of FROM. The line breaks end a `--` comment that may close the query.
pub fn wrap(bound_query: &str) -> String {
    format!("(\n{bound_query}\n) AS q")
}

/// The rows of a window: columns in the template's order, each cast to its declared type. With a salt, those that the
/// template masks are masked, by the server that runs this: what was masked never leaves it.
pub fn select_sql(template: &Template, bound_query: &str, masks: Option<&Salt>) -> String {
    let columns: Vec<String> = template
        .columns
        .iter()
        .map(|c| {
            let name = ident(&c.name);
            let value = mask_sql(c, masks).unwrap_or_else(|| format!("(q.{name})::{}", c.cast()));
            format!("{value} AS {name}")
        })
        .collect();
    format!("SELECT {} FROM {}", columns.join(", "), wrap(bound_query))
}

/// The mask of a column of `q`, where it is masked.
fn mask_sql(column: &Column, masks: Option<&Salt>) -> Option<String> {
    let (mask, salt) = (column.mask?, masks?);
    let value = format!("(q.{})::{}", ident(&column.name), column.cast());
    Some(format!(
        "({})::{}",
        masked(mask, column, &value, salt),
        column.ty.bare()
    ))
}

/// The UTC days on which rows with certain keys stand, as texts, each with how many. `keys` are columns with the insides of
/// arrays of their values; what stands in the same place of each array is one key. Columns are compared as they are, so
/// that indexes are of use.
pub fn days_of_keys_sql(
    template: &Template,
    bound_query: &str,
    masks: Option<&Salt>,
    keys: &[(usize, String)],
) -> String {
    let (mut names, mut arrays) = (Vec::new(), Vec::new());
    for (column, values) in keys {
        let column = &template.columns[*column];
        names.push(mask_sql(column, masks).unwrap_or_else(|| format!("q.{}", ident(&column.name))));
        let array = literal(&format!("{{{values}}}"));
        arrays.push(format!("{array}::{}[]", column.ty.bare()));
    }
    let mut conditions: Vec<String> = names
        .iter()
        .zip(&arrays)
        .map(|(name, array)| format!("{name} = ANY ({array})"))
        .collect();
    if keys.len() > 1 {
        conditions.push(format!(
            "({}) IN (SELECT * FROM unnest({}))",
            names.join(", "),
            arrays.join(", ")
        ));
    }
    format!(
        "SELECT (q.{})::{}::date, count(*) FROM {} WHERE {} GROUP BY 1",
        ident(&template.time_column),
        template.columns[template.time_index()].ty.bare(),
        wrap(bound_query),
        conditions.join(" AND ")
    )
}

/// The statement that fetches a window. `masks` are those of the configuration at a tenant, and none where the warehouse
/// itself is read.
pub fn copy_out_sql(template: &Template, bound_query: &str, masks: Option<&Salt>) -> String {
    format!(
        "COPY ({}) TO STDOUT (FORMAT binary)",
        select_sql(template, bound_query, masks)
    )
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

    #[test]
    fn the_statement_casts_without_length_unless_the_column_may_round() {
        let template = template();
        assert_eq!(
            copy_out_sql(&template, "SELECT 1 -- end", None),
            "COPY (SELECT (q.\"id\")::bigint AS \"id\", (q.\"Odd \"\"name\"\"\")::varchar AS \"Odd \"\"name\"\"\", \
             (q.\"n\")::numeric(5,2) AS \"n\", (q.\"t\")::timestamptz AS \"t\" FROM (\nSELECT 1 -- end\n) AS q) \
             TO STDOUT (FORMAT binary)"
        );
    }
}
