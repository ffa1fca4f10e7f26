use super::*;

const OURS: &str = r#"SELECT "id", "At X", "note"::varchar AS "note", "tags" FROM "acme"."event_2024" WHERE "At X" < '2024-03-01 00:00:00+00'::timestamptz
UNION ALL SELECT "id", "At X", "note"::varchar AS "note", "tags" FROM "acme"."event_2024_03_01""#;

fn same(query: &str) -> bool {
    Definition::parse(query) == Definition::parse(OURS)
}

#[test]
fn the_servers_words_mean_the_same() {
    // PostgreSQL 15; then 18, which leaves out the table's name.
    assert!(same(
        r#" SELECT event_2024.id,
    event_2024."At X",
    (event_2024.note)::character varying AS note,
    event_2024.tags
   FROM acme.event_2024
  WHERE (event_2024."At X" < '2024-03-01 00:00:00+00'::timestamp with time zone)
UNION ALL
 SELECT event_2024_03_01.id,
    event_2024_03_01."At X",
    (event_2024_03_01.note)::character varying AS note,
    event_2024_03_01.tags
   FROM acme.event_2024_03_01;"#
    ));
    assert!(same(
        r#" SELECT id, "At X", note, tags FROM acme.event_2024_03_01
UNION ALL
 SELECT id, "At X", (note)::character varying AS note, tags FROM acme.event_2024
  WHERE ("At X" < '2024-03-01 00:00:00+00'::timestamp with time zone);"#
    ));
}

#[test]
fn what_readers_would_notice_is_another_definition() {
    for (from, to) in [
        ("2024-03-01 00", "2024-03-02 00"),
        (r#""id", "At X""#, r#""At X", "id""#),
        (r#""tags" FROM"#, r#""tags"::text AS "tags" FROM"#),
        (r#""tags" FROM"#, r#""id" AS "tags" FROM"#),
        (r#""acme"."event_2024""#, r#""bolt"."event_2024""#),
        ("UNION ALL", "UNION"),
        (" WHERE ", " WHERE \"id\" < 5 AND "),
        (r#""event_2024_03_01""#, r#""event_2024_03_01" WHERE false"#),
        (r#""event_2024_03_01""#, r#""event_2024_03_01" LIMIT 5"#),
        ("SELECT", "SELECT DISTINCT"),
    ] {
        let other = OURS.replace(from, to);
        assert_ne!(other, OURS, "{from}");
        assert!(!same(&other), "{to}");
    }
}

#[test]
fn a_table_that_is_read_twice_is_no_view_of_ours() {
    let twice = OURS.replace("event_2024_03_01", "event_2024").replace(
        " WHERE \"At X\" < '2024-03-01 00:00:00+00'::timestamptz",
        "",
    );
    assert_eq!(Definition::parse(&twice), None);
}
