//! The SQL that is sent to a tenant.

use super::definition::Template;
use super::mask_sql::masked;
use crate::schema::{Column, Salt};
use crate::sql::{bound, ident, literal};
use crate::unit::Window;

/// Whether the bound query gives a row.
pub fn has_rows_sql(bound_query: &str) -> String {
    format!("SELECT EXISTS (SELECT FROM {})", wrap(bound_query))
}

/// The bound query as an item of FROM. The line breaks end a `--` comment at the end of the query.
pub fn wrap(bound_query: &str) -> String {
    format!("(\n{bound_query}\n) AS q")
}

/// The query for a window's rows: columns in the template's order, each cast to its declared type. With a salt, the server
/// that runs the query masks the columns that the template masks, so the real values never leave it.
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

/// The time of a row of `q`, as the warehouse has it.
fn time_sql(template: &Template) -> String {
    let ty = template.columns[template.time_index()].ty.bare();
    format!("(q.{})::{ty}", ident(&template.time_column))
}

/// The mask expression of a column of `q`, if the column is masked.
fn mask_sql(column: &Column, masks: Option<&Salt>) -> Option<String> {
    let (mask, salt) = (column.mask?, masks?);
    let value = format!("(q.{})::{}", ident(&column.name), column.cast());
    Some(format!(
        "({})::{}",
        masked(mask, column, &value, salt),
        column.ty.bare()
    ))
}

/// The UTC days, as text, that have rows with certain keys, and how many. `keys` are columns, each with the elements of an
/// array literal of its values; the elements at the same position form one key. Columns are compared without a cast, so
/// that indexes can be used.
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
        "SELECT {}::date, count(*) FROM {} WHERE {} GROUP BY 1",
        time_sql(template),
        wrap(bound_query),
        conditions.join(" AND ")
    )
}

/// Counts the rows of the bound query that no day of `days` has: without a time, at an infinite time, before the first day,
/// after the last one; at most `most` each.
pub fn rows_of_no_day_sql(
    template: &Template,
    bound_query: &str,
    days: Window,
    most: u64,
) -> String {
    let ty = template.time_type();
    let time = time_sql(template);
    let (from, to) = (bound(days.from, ty), bound(days.to, ty));
    let conditions = [
        format!("{time} IS NULL"),
        format!("{time} IN ('infinity', '-infinity')"),
        format!("{time} < {from} AND {time} > '-infinity'"),
        format!("{time} >= {to} AND {time} < 'infinity'"),
    ];
    let counts = conditions.map(|condition| {
        format!(
            "(SELECT count(*) FROM (SELECT FROM {} WHERE {condition} LIMIT {most}) AS r)",
            wrap(bound_query)
        )
    });
    format!("SELECT {}", counts.join(", "))
}

/// The statement that fetches a window. `masks` is the configured salt when a tenant is read, and `None` when the
/// warehouse is.
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
