use super::*;

fn review(query: &str) -> Vec<Finding> {
    let source = format!("/*\ntime_column = \"t\"\n[columns]\nt = \"timestamptz\"\n*/\n{query}");
    lint(&TemplateName::parse("x").unwrap(), &source)
}

/// The only finding.
#[track_caller]
fn finding(query: &str) -> Finding {
    let mut found = review(query);
    assert_eq!(found.len(), 1, "{query}: {found:#?}");
    found.remove(0)
}

#[test]
fn the_shipped_templates_are_clean() {
    for (name, source) in [
        (
            "foodlogstats",
            include_str!("../../../templates/foodlogstats.sql"),
        ),
        ("flights", include_str!("../../../templates/flights.sql")),
    ] {
        assert_eq!(lint(&TemplateName::parse(name).unwrap(), source), []);
    }
}

#[test]
fn a_filter_that_bounds_the_column_itself_is_clean() {
    for query in [
        "SELECT t FROM x WHERE t >= {from} AND t < {to}",
        "SELECT t FROM x WHERE {from} <= x.t AND {to} > (x.\"t\");",
        "SELECT d AS t FROM x WHERE d = {day}",
        "SELECT t FROM x WHERE (t, id) >= ({from}, 0) AND t < {to} + interval '0'",
        "SELECT t, (t AT TIME ZONE 'UTC')::date, date_trunc('day', t, 'UTC'), b::date, x.now \
         FROM x WHERE t >= {from} AND t < {to}",
        "SELECT t FROM x WHERE t >= date_trunc('hour', {from}, 'UTC') AND t < {to}",
    ] {
        assert_eq!(review(query), [], "{query}");
    }
}

#[test]
fn a_query_without_bounds_is_an_error() {
    let none = finding("SELECT t\nFROM x");
    assert!(none.is_error() && none.line == 6, "{none:?}");
    assert!(none.message.contains("same rows for every day"));
    let half = finding("SELECT t FROM x WHERE t >= {from}");
    assert!(half.is_error() && half.message.contains("{to}"));
}

#[test]
fn clocks_are_reported() {
    let bounded =
        |list: &str| format!("SELECT t, {list}\nFROM x WHERE t >= {{from}} AND t < {{to}}");
    for clock in [
        "now()",
        "current_date",
        "LOCALTIMESTAMP",
        "CURRENT_TIMESTAMP",
        "pg_catalog.clock_timestamp()",
    ] {
        let f = finding(&bounded(clock));
        assert!(!f.is_error() && f.line == 6, "{f:?}");
        assert!(f.message.contains("differs on every attempt"), "{f:?}");
    }
}

#[test]
fn days_of_the_sessions_time_zone_are_reported() {
    let bounded = |list: &str| format!("SELECT\n{list}\nFROM x WHERE c >= {{from}} AND c < {{to}}");
    for (list, shown) in [
        ("t::date", "`t::date`"),
        ("x.t::date", "`x.t::date`"),
        ("c AS t, (c)::date", "`(c)::date`"),
        ("CAST(t AS date)", "`t::date`"),
        ("date(t)", "`t::date`"),
        ("date_trunc('day', b)", "`date_trunc('day', b)`"),
    ] {
        let f = finding(&bounded(list));
        assert!(!f.is_error() && f.line == 7, "{list}: {f:?}");
        assert!(f.message.starts_with(shown), "{list}: {f:?}");
    }
}

#[test]
fn a_wrapped_column_in_a_comparison_is_reported() {
    for (filter, shown) in [
        (
            "c + interval '1 h' >= {from} AND c < {to}",
            "`c + interval '1 h'`",
        ),
        (
            "c >= {from} AND {to} > coalesce(x.c, y)",
            "`coalesce(x.c, y)`",
        ),
        (
            "(c AT TIME ZONE 'UTC')::date = {day}",
            "`(c AT TIME ZONE 'UTC')::date`",
        ),
        (
            "to_char(c, 'YYYY-MM-DD') = ({day})::text",
            "`to_char(c, 'YYYY-MM-DD')`",
        ),
    ] {
        let f = finding(&format!("SELECT c AS t FROM x\nWHERE {filter}"));
        assert!(!f.is_error() && f.line == 7, "{f:?}");
        assert!(f.message.starts_with(shown), "{f:?}");
        assert!(f.help.unwrap().contains("c >= {from}"), "{filter}");
    }
}

#[test]
fn a_bound_that_includes_midnight_twice_is_reported() {
    for (filter, word) in [
        ("t >= {from} AND t <= {to}", "write `t < {to}`"),
        ("{from} < t AND t < {to}", "write `t >= {from}`"),
        (
            "t BETWEEN {from} AND {to}",
            "write `t >= {from} AND t < {to}`",
        ),
    ] {
        let f = finding(&format!("SELECT t FROM x WHERE {filter}"));
        assert!(f.help.as_ref().is_some_and(|h| h == word), "{f:?}");
    }
}

#[test]
fn a_placeholder_that_is_not_replaced_is_reported() {
    let f = finding("SELECT t FROM x WHERE t >= {from} AND t < {to}\nAND y > '{day}'");
    assert!(f.is_error() && f.line == 7, "{f:?}");
    let f = finding("SELECT t FROM x WHERE t >= {from} AND t < {to}\n/* or\n{day} */");
    assert!(!f.is_error() && f.line == 8, "{f:?}");
}

const BOUNDS: &str = "WHERE t >= {from} AND t < {to}";

#[test]
fn what_combines_rows_of_several_days_is_reported() {
    for (query, word) in [
        (
            format!("SELECT s, count(*), min(t) AS t FROM x {BOUNDS} GROUP BY s"),
            "GROUP BY",
        ),
        (
            format!("SELECT s, min(t) t FROM x {BOUNDS} GROUP BY 1"),
            "GROUP BY",
        ),
        (format!("SELECT max(t) AS t FROM x {BOUNDS}"), "`max`"),
        (
            format!("SELECT t FROM x {BOUNDS} ORDER BY id LIMIT 5"),
            "LIMIT",
        ),
        (
            format!("SELECT t FROM x {BOUNDS} ORDER BY id OFFSET 5"),
            "OFFSET",
        ),
        (
            format!("SELECT t FROM x {BOUNDS} ORDER BY id FETCH FIRST 5 ROWS ONLY"),
            "FETCH",
        ),
        (
            format!("SELECT DISTINCT ON (s) t FROM x {BOUNDS} ORDER BY s, t"),
            "DISTINCT ON",
        ),
        (
            format!("SELECT t, sum(n) OVER (PARTITION BY s) FROM x {BOUNDS}"),
            "OVER",
        ),
        (
            format!("SELECT t, rank() OVER w FROM x {BOUNDS} WINDOW w AS (ORDER BY t)"),
            "OVER",
        ),
        (
            format!(
                "WITH a AS (SELECT t, s FROM x {BOUNDS}), b AS (SELECT s, count(*) AS n FROM a GROUP BY s) SELECT t, n FROM a JOIN b USING (s)"
            ),
            "GROUP BY",
        ),
        (
            format!(
                "SELECT t FROM x JOIN (SELECT s, count(*) FROM x {BOUNDS} GROUP BY s) AS y USING (s) {BOUNDS}"
            ),
            "GROUP BY",
        ),
        (
            format!("SELECT t FROM x {BOUNDS} UNION ALL SELECT min(t) FROM y {BOUNDS}"),
            "`min`",
        ),
    ] {
        let f = finding(&query);
        assert!(!f.is_error() && f.message.contains(word), "{query}: {f:?}");
        assert!(f.help.unwrap().contains("windows = \"day\""), "{query}");
        for windows in ["day", "any"] {
            let source = format!(
                "/*\ntime_column = \"t\"\nwindows = \"{windows}\"\n[columns]\nt = \"timestamptz\"\n*/\n{query}"
            );
            assert_eq!(
                lint(&TemplateName::parse("x").unwrap(), &source),
                [],
                "{query}"
            );
        }
    }
}

#[test]
fn what_keeps_days_apart_is_clean() {
    for query in [
        "SELECT s, count(*), t FROM x WHERE t >= {from} AND t < {to} GROUP BY s, t",
        "SELECT s, date_trunc('day', t, 'UTC') AS d, min(t) AS t FROM x WHERE t >= {from} AND t < {to} GROUP BY s, d",
        "SELECT s, date_trunc('day', t, 'UTC'), min(t) AS t FROM x WHERE t >= {from} AND t < {to} GROUP BY 1, 2",
        "SELECT o.id, o.t, sum(i.n) FROM o JOIN i ON i.o = o.id WHERE o.t >= {from} AND o.t < {to} GROUP BY o.id",
        "SELECT t, (SELECT count(*) FROM i WHERE i.o = o.id) FROM o WHERE t >= {from} AND t < {to}",
        "SELECT t, n FROM o, LATERAL (SELECT n FROM i WHERE i.o = o.id ORDER BY n LIMIT 1) AS i WHERE t >= {from} AND t < {to}",
        "SELECT t FROM o JOIN (SELECT s, max(n) AS n FROM i GROUP BY s) AS i USING (s) WHERE t >= {from} AND t < {to}",
        "SELECT t, sum(n) OVER (PARTITION BY (t AT TIME ZONE 'UTC')::date) FROM x WHERE t >= {from} AND t < {to}",
        "SELECT DISTINCT ON (s, (t AT TIME ZONE 'UTC')::date) t FROM x WHERE t >= {from} AND t < {to} ORDER BY 1",
        "WITH a AS (SELECT created FROM x WHERE created >= {from} AND created < {to} GROUP BY created) SELECT created AS t FROM a",
        "SELECT s, min(t) AS t FROM x WHERE d = {day} GROUP BY s",
        "SELECT t, count, sum.min FROM x WHERE t >= {from} AND t < {to} LIMIT ALL",
    ] {
        assert_eq!(review(query), [], "{query}");
    }
}

#[test]
fn values_that_differ_from_pull_to_pull_are_reported_whatever_the_window() {
    for (list, word) in [
        ("random()", "random"),
        ("public.gen_random_uuid()", "gen_random_uuid"),
        ("nextval('s')", "nextval"),
        ("row_number() OVER ()", "ORDER BY"),
        ("lag(n) OVER (PARTITION BY t)", "ORDER BY"),
        ("(SELECT array_agg(n) FROM i WHERE i.o = x.id)", "ORDER BY"),
        (
            "(SELECT string_agg(n, ', ') FROM i WHERE i.o = x.id)",
            "ORDER BY",
        ),
    ] {
        let f = finding(&format!("SELECT t, {list} FROM x WHERE d = {{day}}"));
        assert!(!f.is_error() && f.message.contains(word), "{list}: {f:?}");
        assert!(f.help.is_some());
    }
    for list in [
        "(SELECT array_agg(n ORDER BY n) FROM i WHERE i.o = x.id)",
        "row_number() OVER (ORDER BY id)",
        "random",
        "(SELECT sum(n) FROM i WHERE i.o = x.id)",
    ] {
        let query = format!("SELECT t, {list} FROM x WHERE d = {{day}}");
        assert_eq!(review(&query), [], "{list}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_still_reviewed() {
    let source = "/*\ntime_column = \"t\"\nindexes = [\"u\"]\n[columns]\nt = \"timestamptz\"\nc = \"char(3)\"\n*/\n\
         SELECT t, now() FROM x; SELECT 2";
    let found = lint(&TemplateName::parse("x").unwrap(), source);
    let lines: Vec<_> = found.iter().map(|f| (f.line, f.is_error())).collect();
    assert_eq!(
        lines,
        [(3, true), (6, true), (8, true), (8, true), (8, false)]
    );
}

#[test]
fn a_finding_is_shown_with_its_line() {
    let source = "/*\ntime_column = \"t\"\nindexes = [\"u\"]\n[columns]\nt = \"date\"\n*/\nSELECT t FROM x WHERE t = {day}";
    let found = lint(&TemplateName::parse("x").unwrap(), source);
    assert_eq!(
        found[0].render("templates/x.sql", source),
        "templates/x.sql:3: error: index: no column `u` is declared\n     3 | indexes = [\"u\"]\n"
    );
}

proptest::proptest! {
    #[test]
    fn any_query_can_be_reviewed(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                "t", "x.", "::", "date", "date(", "cast(", "date_trunc(", "(", ")", "[", "]", ",", ";", "{from}", "{to}",
                "{day}", "group by", "over", "limit", "distinct on", "count(", "window", "union", "with", "select", "<", "<=", "=", "between", "and", "where", "as", "'{to}'", "--\n", "at time zone", "1", "now()",
            ]),
            0..16,
        )
    ) {
        review(&parts.join(" "));
    }
}

/// What is said to do about the only finding.
#[track_caller]
fn help(query: &str) -> String {
    finding(query).help.unwrap()
}

#[test]
fn a_suggested_condition_names_what_a_where_can_see() {
    for (query, column) in [
        ("SELECT o.created_at AS t FROM orders o", "o.created_at"),
        ("SELECT id, o.created_at t FROM orders o", "o.created_at"),
        ("SELECT (o.\"Made\") AS t, id FROM orders o", "o.\"Made\""),
        ("SELECT DISTINCT o.t FROM orders o", "o.t"),
        (
            "SELECT date_trunc('day', o.t, 'UTC') AS t FROM orders o",
            "o.t",
        ),
        ("SELECT id, t::timestamptz AS t FROM orders", "t"),
        ("SELECT t, created FROM orders", "t"),
        ("SELECT o.*, 1 AS one FROM orders o", "t"),
        // The outer SELECT sees the name that the inner one gives.
        (
            "SELECT q.t, id FROM (SELECT o.created_at AS t, id FROM orders o) q",
            "q.t",
        ),
        (
            "WITH q AS (SELECT made AS t FROM orders) SELECT t FROM q",
            "t",
        ),
        (
            "SELECT made AS t FROM a UNION ALL SELECT made AS t FROM b",
            "made",
        ),
    ] {
        let help = help(query);
        let expected = format!("`{column} >= {{from}} AND {column} < {{to}}`");
        assert!(help.ends_with(&expected), "{query}: {help}");
    }
}

#[test]
fn what_a_where_can_see_is_not_guessed() {
    for query in [
        "SELECT coalesce(o.made, o.sent) AS t FROM orders o",
        "SELECT o.made::timestamptz t FROM orders o",
        "SELECT to_timestamp(made) AS t FROM orders",
        "SELECT CASE WHEN a THEN b ELSE c END AS t FROM orders",
        "SELECT id FROM orders",
        "SELECT made AS t FROM a UNION ALL SELECT sent AS t FROM b",
        "SELECT made AS t FROM a UNION ALL SELECT sent FROM b",
        "(SELECT made AS t FROM a)",
    ] {
        let help = help(query);
        let expected = "`… >= {from} AND … < {to}`, where … is the expression of column `t`";
        assert!(help.ends_with(expected), "{query}: {help}");
    }
}

#[test]
fn an_alias_in_a_comparison_is_not_repeated_in_the_hint() {
    for (query, expected) in [
        (
            "SELECT o.made AS t FROM o WHERE t >= {from} AND t <= {to}",
            "write `o.made < {to}`",
        ),
        (
            "SELECT o.made AS t FROM o WHERE t BETWEEN {from} AND {to}",
            "write `o.made >= {from} AND o.made < {to}`",
        ),
        (
            "SELECT o.made AS t FROM o WHERE (t AT TIME ZONE 'UTC')::date = {day}",
            "compare the column itself: `o.made >= {from} AND o.made < {to}`",
        ),
        (
            "SELECT a + b AS t FROM o WHERE t >= {from} AND t <= {to}",
            "write `… < {to}`, where … is the expression of column `t`",
        ),
        (
            "SELECT date_trunc('hour', t, 'UTC') AS t FROM o WHERE t >= {from} AND t <= {to}",
            "write `t < {to}`",
        ),
        // There it is a column.
        (
            "SELECT t FROM (SELECT o.made AS t FROM o) q WHERE t >= {from} AND t <= {to}",
            "write `t < {to}`",
        ),
    ] {
        assert_eq!(help(query), expected, "{query}");
    }
}
