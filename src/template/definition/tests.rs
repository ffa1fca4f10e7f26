use super::*;

const ORDERS: &str = r#"/*
description = "orders"
time_column = "ordered_at"
unique = ["id"]
indexes = ["store", ["store", "ordered_at"]]

[columns]
store = "varchar(20)"
id = "int8"
total = { type = "numeric(10,2)", round = true }
ordered_at = "timestamptz"
*/
SELECT * FROM orders
WHERE ordered_at >= {from} AND ordered_at < {to};
"#;

fn parse(source: &str) -> Result<Template> {
    Template::parse(TemplateName::parse("orders").unwrap(), source)
}

#[test]
fn columns_keep_the_order_of_the_file() {
    let template = parse(ORDERS).unwrap();
    let columns: Vec<String> = template
        .columns
        .iter()
        .map(|c| format!("{} {}", c.name, c.ty))
        .collect();
    assert_eq!(
        columns,
        [
            "store varchar(20)",
            "id bigint",
            "total numeric(10,2)",
            "ordered_at timestamptz"
        ]
    );
    assert!(template.columns[2].round);
    assert_eq!(template.time_index(), 3);
    assert_eq!((template.lookback_days, template.open_days), (14, 3));
}

#[test]
fn an_index_always_leads_with_the_time_column() {
    let template = parse(ORDERS).unwrap();
    assert_eq!(template.indexes[0], ["ordered_at"]);
    assert_eq!(template.indexes.len(), 3);
    let declared = parse(&ORDERS.replace(
        "\"store\", [\"store\", \"ordered_at\"]",
        "[\"ordered_at\", \"store\"]",
    ));
    assert_eq!(declared.unwrap().indexes, [["ordered_at", "store"]]);
}

#[test]
fn a_problem_is_reported_with_its_line_in_the_file() {
    for (from, to, line, word) in [
        ("description", "descripton", 2, "unknown key `descripton`"),
        (
            "\"ordered_at\"\nunique",
            "\"ordered\"\nunique",
            3,
            "`ordered` is not among",
        ),
        (
            "\"ordered_at\"\nunique",
            "\"id\"\nunique",
            3,
            "time column `id` is `bigint`",
        ),
        ("time_column =", "#", 1, "`time_column` is not declared"),
        (
            "unique = [\"id\"]",
            "unique = [\"key\"]",
            4,
            "unique: no column `key` is declared",
        ),
        (
            "[\"store\", \"ordered_at\"]]",
            "\"stor\"]",
            5,
            "index: no column `stor` is declared",
        ),
        (
            "[\"store\", \"ordered_at\"]]",
            "\"store\"]",
            5,
            "declared twice",
        ),
        ("[\"store\", \"ordered_at\"]]", "[]]", 5, "0 columns"),
        ("[columns]", "[column]", 1, "no columns"),
        (
            "varchar(20)",
            "char(20)",
            8,
            "column `store`: type `char(20)`",
        ),
        ("id = \"int8\"", "id = 8", 9, "not a string"),
        ("id = \"int8\"", "store = \"int8\"", 9, "duplicate key"),
        ("id = \"int8\"", "schema_name = \"int8\"", 4, "`id`"),
        ("numeric(10,2)", "numeric", 10, "`round`"),
        ("round = true", "rund = true", 10, "unknown key `rund`"),
        ("round = true", "land = \"text\"", 10, "`land` applies only"),
        ("round = true", "land = \"float\"", 10, "decimal(p,s)"),
        ("round = true", "land = true", 10, "expected a string"),
        ("SELECT *", "SELECT {form}", 13, "`{form}`"),
        ("{to};", "{to}; SELECT 1", 14, "second statement"),
        ("*/", "", 1, "is never closed"),
        ("/*", "", 1, "does not start with"),
    ] {
        let e = parse(&ORDERS.replacen(from, to, 1)).unwrap_err();
        assert!(
            e.message().starts_with(&format!("line {line}: ")),
            "{to}: {e}"
        );
        assert!(e.message().contains(word), "{to}: {e}");
    }
}

#[test]
fn a_numeric_without_precision_may_say_how_it_lands() {
    let plain = ORDERS.replacen(
        "{ type = \"numeric(10,2)\", round = true }",
        "\"numeric\"",
        1,
    );
    let landing = plain.replacen(
        "\"numeric\"",
        "{ type = \"numeric\", land = \"decimal(20,6)\" }",
        1,
    );
    let template = parse(&landing).unwrap();
    let land = template.columns[2].land.map(|l| l.to_string());
    assert_eq!(land.as_deref(), Some("decimal(20,6)"));
    // The warehouse holds the same rows either way.
    assert_eq!(template.version(), parse(&plain).unwrap().version());
}

#[test]
fn more_columns_than_a_view_can_have_are_refused() {
    let with = |more: usize| {
        let columns: String = (0..more).map(|n| format!("c{n} = \"text\"\n")).collect();
        parse(&ORDERS.replace(
            "store = \"varchar(20)\"\n",
            &format!("store = \"varchar(20)\"\n{columns}"),
        ))
    };
    assert_eq!(with(1595).unwrap().columns.len(), 1599);
    let error = with(1596).unwrap_err().to_string();
    assert!(
        error.contains("1600 columns: a view has at most 1,600"),
        "{error}"
    );
}

#[test]
fn a_column_name_that_a_table_cannot_have_is_refused() {
    for name in ["schema_name", "ctid", "\"\"", &"c".repeat(64)] {
        let source = ORDERS.replacen("[columns]", &format!("[columns]\n{name} = \"text\""), 1);
        assert!(parse(&source).is_err(), "{name}");
    }
    let odd = ORDERS.replacen("[columns]", "[columns]\n\"Größe \\\"x\\\"\" = \"text\"", 1);
    assert_eq!(parse(&odd).unwrap().columns[0].name, "Größe \"x\"");
}

#[test]
fn a_mask_that_would_break_the_template_is_refused_with_its_line() {
    let masked = |column: &str, with: &str| parse(&ORDERS.replacen(column, with, 1));
    let template = masked("\"int8\"", "{ type = \"int8\", mask = \"hash\" }").unwrap();
    assert_eq!(template.columns[1].mask, Some(crate::schema::Mask::Hash));
    assert_eq!(template.version(), parse(ORDERS).unwrap().version());
    for (column, with, line, word) in [
        (
            "\"timestamptz\"",
            "{ type = \"timestamptz\", mask = \"fake\" }",
            11,
            "time column `ordered_at` cannot be masked",
        ),
        (
            "\"int8\"",
            "{ type = \"int8\", mask = \"null\" }",
            9,
            "`id` is unique",
        ),
        (
            "\"int8\"",
            "{ type = \"int8\", mask = \"fake\" }",
            9,
            "`id` is unique",
        ),
        (
            "round = true",
            "mask = \"hash\"",
            10,
            "`mask = \"hash\"` cannot mask",
        ),
        (
            "\"varchar(20)\"",
            "{ type = \"varchar(12)\", mask = \"hash\" }",
            8,
            "`store` is `varchar(12)`",
        ),
        ("round = true", "mask = \"md5\"", 10, "`md5` is not a mask"),
    ] {
        let e = masked(column, with).unwrap_err();
        let place = format!("line {line}: ");
        assert!(e.message().starts_with(&place), "{with}: {e}");
        assert!(e.message().contains(word), "{with}: {e}");
        assert!(e.hint().is_some(), "{with}");
    }
}

#[test]
fn placeholders_say_what_the_template_needs() {
    let template = parse(ORDERS).unwrap();
    assert!(!template.one_day_windows);
    assert!(template.variables().is_empty());
    let daily = ORDERS.replace(
        "ordered_at >= {from} AND ordered_at < {to}",
        "day = {day} AND client = {var:client} AND '{var:no}' <> ''",
    );
    let daily = parse(&daily).unwrap();
    assert!(daily.one_day_windows);
    assert_eq!(daily.variables(), ["client"]);
}
