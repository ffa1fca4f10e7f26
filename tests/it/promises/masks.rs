//! What the masks of a template give, worked out by a real server.

use crate::support::server::{self, Database};
use dayhaul::schema::Salt;
use dayhaul::template::{Template, select_sql};
use dayhaul::unit::TemplateName;
use std::collections::HashSet;
use std::sync::OnceLock;

/// One column `c` of a type, masked.
fn template(ty: &str, mask: &str) -> Template {
    let source = format!(
        "/*\ntime_column = \"t\"\n[columns]\nc = {{ type = \"{ty}\", mask = \"{mask}\" }}\nt = \"date\"\n*/ SELECT 1"
    );
    Template::parse(TemplateName::parse("x").unwrap(), &source).unwrap()
}

fn salt(n: u8) -> Salt {
    Salt::new([n; 32])
}

fn database() -> &'static Database {
    static DATABASE: OnceLock<Database> = OnceLock::new();
    DATABASE.get_or_init(|| Database::create("masks"))
}

/// What becomes of the column `c` of a query, as text; by the server `database`.
fn values_in(database: &Database, ty: &str, mask: &str, n: u8, query: &str) -> Vec<Option<String>> {
    let query = format!("SELECT c, date '2024-01-15' AS t FROM ({query}) AS source (c)");
    let masked = select_sql(&template(ty, mask), &query, Some(&salt(n)));
    let url = database.url_utc();
    let rows = server::rows(&url, &format!("SELECT c FROM ({masked}) AS m"));
    let rows = rows.unwrap_or_else(|e| panic!("{ty} {mask}: {e:?}\n{masked}"));
    rows.into_iter().map(|mut row| row.remove(0)).collect()
}

fn values(ty: &str, mask: &str, query: &str) -> Vec<Option<String>> {
    values_in(database(), ty, mask, 1, query)
}

fn one(ty: &str, mask: &str, value: &str) -> String {
    let found = values(ty, mask, &format!("SELECT {value}"));
    assert_eq!(found.len(), 1);
    found[0].clone().unwrap_or_else(|| panic!("{value}: null"))
}

fn numbers(found: &[Option<String>]) -> Vec<i64> {
    found
        .iter()
        .map(|v| v.as_deref().unwrap().parse().unwrap())
        .collect()
}

#[test]
fn a_hashed_integer_is_another_one_of_its_type_and_sign_and_nobody_elses() {
    let all = numbers(&values(
        "smallint",
        "hash",
        "SELECT n FROM generate_series(-32768, 32767) AS n ORDER BY n",
    ));
    let same = (-32768..=32767).zip(&all).filter(|(n, m)| n == *m).count();
    assert!(same < 20, "{same} are what they were");
    assert!((-32768..=32767).zip(&all).all(|(n, m)| (n < 0) == (*m < 0)));
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), 65536);

    for ty in ["integer", "bigint"] {
        let found = numbers(&values(
            ty,
            "hash",
            "SELECT n FROM generate_series(0, 20000) AS n",
        ));
        assert_eq!(found.iter().collect::<HashSet<_>>().len(), 20001, "{ty}");
        let largest = i64::MAX >> if ty == "integer" { 32 } else { 0 };
        assert!(found.iter().all(|n| (0..=largest).contains(n)), "{ty}");
        assert!(found.iter().any(|n| *n > largest / 2), "{ty}");
    }
    for (ty, edge) in [
        ("integer", "2147483647"),
        ("integer", "'-2147483648'::integer"),
        ("bigint", "9223372036854775807"),
        ("bigint", "'-9223372036854775808'::bigint"),
    ] {
        let masked: i64 = one(ty, "hash", edge).parse().unwrap();
        assert_eq!(masked < 0, edge.contains('-'), "{edge} → {masked}");
    }
}

#[test]
fn a_hash_is_the_same_for_the_same_value_and_salt_alone() {
    let ascii = Database::create_ascii("masks_ascii");
    for (ty, value) in [
        ("text", "'Grüße'::text"),
        ("varchar(20)", "'Grüße'::text"),
        ("uuid", "'6ecd8c99-4036-403d-bf84-cf8400f67836'::uuid"),
        ("bytea", "'\\x00ff'::bytea"),
        ("integer", "42"),
        ("bigint", "42"),
    ] {
        let query = format!("SELECT {value}");
        let of = |database, n| values_in(database, ty, "hash", n, &query);
        let first = of(database(), 1);
        assert_eq!(first, of(database(), 1), "{ty}");
        assert_eq!(first, of(&ascii, 1), "{ty}: another server's encoding");
        assert_ne!(first, of(database(), 2), "{ty}: another salt");
        assert!(!first[0].as_ref().unwrap().contains("Gr"), "{ty}");
    }
    // In any column of text, declared how it may.
    assert_eq!(one("text", "hash", "'a'"), one("varchar", "hash", "'a'"));
    assert_eq!(
        one("text", "hash", "'a'"),
        one("varchar(32)", "hash", "'a'")
    );
    assert_eq!(one("text", "hash", "'a'").len(), 32);
    assert_eq!(one("varchar(20)", "hash", "'a'").len(), 20);
}

#[test]
fn null_stays_null_and_null_makes_null() {
    for ty in dayhaul::schema::Scalar::ALL {
        for mask in ["hash", "null", "fake"] {
            if dayhaul::schema::Mask::parse(mask)
                .unwrap()
                .refusal(dayhaul::schema::PgType::scalar(*ty))
                .is_none()
            {
                let query = format!("SELECT NULL::{}", ty.sql());
                assert_eq!(
                    values(ty.sql(), mask, &query),
                    [None],
                    "{mask} {}",
                    ty.sql()
                );
            }
        }
    }
    assert_eq!(values("text", "null", "SELECT 'a'::text"), [None]);
    assert_eq!(values("int[]", "null", "SELECT '{1,2}'::int[]"), [None]);
}

#[test]
fn a_fake_number_has_the_sign_and_the_digits_of_the_true_one() {
    for (ty, value) in [
        ("integer", "7"),
        ("integer", "-123456"),
        ("smallint", "32767::smallint"),
        ("integer", "2147483647"),
        ("bigint", "'-9223372036854775808'::bigint"),
        ("numeric(10,2)", "12.99"),
        ("numeric(10,2)", "-0.05"),
        ("numeric", "123456789012345678901234567890.125"),
        ("numeric(3,1)", "99.900"),
        ("double precision", "'-1234.5'::float8"),
        ("real", "'3.4e38'::real"),
        ("double precision", "'1.7e308'::float8"),
        ("double precision", "'5e-324'::float8"),
    ] {
        let fake = one(ty, "fake", value);
        let digits = database().one(&format!(
            "SELECT concat(sign(f) = sign(v) OR f = 0, trunc(abs(f)) = 0 OR length(trunc(abs(f))::text) = length(trunc(abs(v))::text),
                           scale(f) <= scale(v) OR {})
             FROM (SELECT '{fake}'::{ty}::numeric, ({value})::numeric) AS n (f, v)",
            // Floats keep as many decimals as they can.
            ty.starts_with("double") || ty == "real"
        ));
        assert_eq!(digits, "ttt", "{ty} {value} → {fake}");
    }
    for (ty, stays) in [
        ("integer", "0"),
        ("numeric(5,2)", "0.00"),
        ("numeric", "NaN"),
        ("double precision", "Infinity"),
        ("real", "-Infinity"),
        ("double precision", "NaN"),
    ] {
        let query = format!("SELECT '{stays}'::{ty}");
        assert_eq!(values(ty, "fake", &query), [Some(stays.to_owned())], "{ty}");
    }
    let many = numbers(&values(
        "integer",
        "fake",
        "SELECT n FROM generate_series(1000, 1999) AS n",
    ));
    assert!(many.iter().all(|n| (1000..=9999).contains(n)));
    assert!(many.iter().collect::<HashSet<_>>().len() > 900);
    assert!(many.iter().any(|n| *n > 8000));
}

#[test]
fn a_fake_is_of_its_type_and_plausible() {
    let words: Vec<String> = one("text", "fake", "'a@b.example'")
        .split(' ')
        .map(str::to_owned)
        .collect();
    assert_eq!(words.len(), 2, "{words:?}");
    assert!(words.iter().all(|w| w.starts_with(char::is_uppercase)));
    assert_eq!(one("varchar(3)", "fake", "'abc'").chars().count(), 3);
    for (ty, value) in [
        ("date", "date '2024-02-29'"),
        ("timestamp", "timestamp '1987-12-31 23:59:59.5'"),
        ("timestamptz", "timestamptz '2024-01-01 00:30+00'"),
    ] {
        let fake = one(ty, "fake", value);
        let year = database().one(&format!(
            "SET timezone = 'UTC'; SELECT extract(year FROM '{fake}'::{ty}) = extract(year FROM {value})"
        ));
        assert_eq!(year, "t", "{value} → {fake}");
        let forever = format!("SELECT 'infinity'::{ty}");
        assert_eq!(values(ty, "fake", &forever), [Some("infinity".to_owned())]);
    }
    assert!(one("inet", "fake", "'192.168.3.4'::inet").starts_with("10."));
    one("time", "fake", "time '12:00'");
    let same = "SELECT 'x'::text FROM generate_series(1, 3)";
    let same = values("text", "fake", same);
    assert!(same.iter().all(|v| *v == same[0]));
    let days = values(
        "date",
        "fake",
        "SELECT date '2024-01-01' + n FROM generate_series(0, 99) AS n",
    );
    assert!(days.iter().collect::<HashSet<_>>().len() > 70);
}
