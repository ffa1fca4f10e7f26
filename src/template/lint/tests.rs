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
                "{day}", "<", "<=", "=", "between", "and", "where", "as", "'{to}'", "--\n", "at time zone", "1", "now()",
            ]),
            0..16,
        )
    ) {
        review(&parts.join(" "));
    }
}
