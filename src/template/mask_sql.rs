//! The SQL of a mask: an expression that replaces a column. The tenant's server evaluates it, so the real value never
//! leaves that server. Only functions of `pg_catalog` since PostgreSQL 11 are used, and sha256 rather than md5, which
//! servers in FIPS mode do not have.
//!
//! # What a mask does
//!
//! | mask | type | result |
//! |---|---|---|
//! | hash | text, varchar, name | 32 hexadecimal digits of SHA-256; as many as fit into a `varchar(n)`, at least 16 |
//! | hash | uuid, bytea | 128 bits, 256 bits of SHA-256 |
//! | hash | smallint, integer, bigint | another number of the same type and sign: a permutation, so different values stay different |
//! | fake | text, varchar | a first and a last name, cut to `n` |
//! | fake | integers, numeric, real, double precision | a number with the same sign, number of digits before the decimal point, and decimals; 0 stays 0 |
//! | fake | date, timestamp, timestamptz | another day and second of the same year |
//! | fake | time | another second of the day |
//! | fake | inet | an address in 10.0.0.0/8 |
//!
//! Null stays null. The result depends only on the value, its type and the salt: equal values have the same mask in every
//! column, tenant and day, so joins work.
//!
//! # Integers
//!
//! ```text
//! x ─▶ sign, value ─▶ left │ right      15│16 bits of an integer, 31│32 of a bigint, 7│8 of a smallint
//!                     left  ^= f1(right)
//!                     right ^= f2(left)   twice: a Feistel network of four rounds, f = SHA-256(salt, round, half)
//! ```
//!
//! Each step is a sub-select with OFFSET 0. Otherwise the planner would inline it wherever it is used, which doubles the
//! expression with every round.

use crate::schema::{Column, HASH_DIGITS, Mask, Modifier, PgType, Salt, Scalar};

/// Made-up names; 32 of each, for five bits.
const FIRST_NAMES: &str = "{Ada,Ben,Cleo,Dan,Eva,Finn,Gina,Hugo,Ida,Jon,Kim,Leo,Mia,Noah,Olga,Paul,Quinn,Rosa,Sam,Tara,Uwe,Vera,\
Will,Xenia,Yara,Zoe,Anna,Bruno,Clara,David,Ella,Fritz}";
const LAST_NAMES: &str = "{Adler,Baker,Carter,Dietz,Evans,Fisher,Gruber,Hill,Ivanov,Jensen,Keller,Lopez,Meyer,Novak,Olsen,\
Palmer,Quist,Rossi,Silva,Taylor,Unger,Vogel,Weber,Xu,Young,Ziegler,Brandt,Costa,Dubois,Fuchs,Green,Hansen}";

/// The expression that replaces a column's value. `value` is an expression of the column's type; the result has that type,
/// or one that converts to it unchanged.
pub(super) fn masked(mask: Mask, column: &Column, value: &str, salt: &Salt) -> String {
    let ty = column.ty;
    let hash = Hash { salt };
    match (mask, ty.scalar) {
        (Mask::Null, _) => "NULL".to_owned(),
        // The front matter refuses such masks. If one got here anyway, no value must leak.
        _ if mask.refusal(ty).is_some() => "NULL".to_owned(),
        (Mask::Hash, Scalar::Int2) => permuted(value, 7, 8, hash),
        (Mask::Hash, Scalar::Int4) => permuted(value, 15, 16, hash),
        (Mask::Hash, Scalar::Int8) => permuted(value, 31, 32, hash),
        (Mask::Hash, Scalar::Uuid) => hash.hex(
            "uuid",
            &format!("pg_catalog.uuid_send({value})"),
            HASH_DIGITS,
        ),
        (Mask::Hash, Scalar::Bytea) => hash.bytes("bytea", value),
        (Mask::Hash, _) => {
            let digits = match ty.modifier {
                Modifier::Length(n) => n.min(HASH_DIGITS),
                _ => HASH_DIGITS,
            };
            hash.hex("text", &utf8(value), digits)
        }
        (Mask::Fake, Scalar::Text | Scalar::Varchar) => name(value, ty, hash),
        (Mask::Fake, Scalar::Date | Scalar::Timestamp | Scalar::Timestamptz) => {
            instant(value, hash)
        }
        (Mask::Fake, Scalar::Time) => from_number(
            value,
            hash,
            "'00:00'::time + pg_catalog.make_interval(secs => (h % 86400)::double precision)",
        ),
        (Mask::Fake, Scalar::Inet) => from_number(value, hash, "'10.0.0.0'::inet + h % 16777216"),
        (Mask::Fake, _) => number(value, ty, hash),
    }
}

/// SHA-256 of the salt, a purpose, and a value.
#[derive(Clone, Copy)]
struct Hash<'a> {
    salt: &'a Salt,
}

impl Hash<'_> {
    /// 32 bytes; `bytes` is an expression of type bytea.
    fn bytes(self, purpose: &str, bytes: &str) -> String {
        let purpose: String = purpose.bytes().map(|b| format!("{b:02x}")).collect();
        format!(
            "pg_catalog.sha256(pg_catalog.decode('{}{purpose}00', 'hex') || {bytes})",
            self.salt.hex()
        )
    }

    /// The first `digits` hexadecimal digits, as text.
    fn hex(self, purpose: &str, bytes: &str, digits: u32) -> String {
        let hash = self.bytes(purpose, bytes);
        format!("pg_catalog.left(pg_catalog.encode({hash}, 'hex'), {digits})")
    }

    /// `digits` × 4 bits as a non-negative bigint. `digits` is at most 15.
    fn number(self, purpose: &str, bytes: &str, digits: u32) -> String {
        let hex = self.hex(purpose, bytes, digits);
        format!("('x' || {hex})::bit({})::bigint", digits * 4)
    }
}

/// An expression's text as UTF-8 bytes, whatever the server's encoding.
fn utf8(value: &str) -> String {
    format!("pg_catalog.convert_to(({value})::text, 'UTF8')")
}

/// Permutes the numbers of one sign with `left` + `right` bits, so different numbers stay different.
fn permuted(value: &str, left: u32, right: u32, hash: Hash<'_>) -> String {
    let (left_mask, right_mask) = ((1_u64 << left) - 1, (1_u64 << right) - 1);
    let mut rows = format!("SELECT ({value})::bigint AS x OFFSET 0");
    rows = format!(
        "SELECT x < 0 AS n, CASE WHEN x < 0 THEN ~x ELSE x END AS v FROM ({rows}) AS a OFFSET 0"
    );
    rows =
        format!("SELECT n, v >> {right} AS l, v & {right_mask} AS r FROM ({rows}) AS a OFFSET 0");
    for round in 1..=4 {
        let of = |half: &str| {
            let purpose = format!("integer {left} {round}");
            hash.number(&purpose, &format!("pg_catalog.int8send({half})"), 8)
        };
        let step = if round % 2 == 1 {
            format!("l # ({} & {left_mask}) AS l, r", of("r"))
        } else {
            format!("l, r # ({} & {right_mask}) AS r", of("l"))
        };
        rows = format!("SELECT n, {step} FROM ({rows}) AS a OFFSET 0");
    }
    rows = format!("SELECT n, l << {right} | r AS v FROM ({rows}) AS a OFFSET 0");
    format!("(SELECT CASE WHEN n THEN ~v ELSE v END FROM ({rows}) AS a)")
}

/// `expression` over `x`, the value, and `h`, a hash of the value as a bigint of 60 bits.
fn from_number(value: &str, hash: Hash<'_>, expression: &str) -> String {
    let h = hash.number("fake", &utf8("x"), 15);
    let rows = format!("SELECT {value} AS x OFFSET 0");
    let rows = format!("SELECT x, {h} AS h FROM ({rows}) AS a OFFSET 0");
    format!("(SELECT {expression} FROM ({rows}) AS a)")
}

fn name(value: &str, ty: PgType, hash: Hash<'_>) -> String {
    let full = format!(
        "('{FIRST_NAMES}'::text[])[(h % 32 + 1)::integer] || ' ' || ('{LAST_NAMES}'::text[])[(h / 32 % 32 + 1)::integer]"
    );
    let name = match ty.modifier {
        Modifier::Length(n) => format!("pg_catalog.left({full}, {n})"),
        _ => full,
    };
    from_number(value, hash, &name)
}

/// Another day and second of the same year; ±infinity is kept.
fn instant(value: &str, hash: Hash<'_>) -> String {
    from_number(
        value,
        hash,
        "CASE WHEN pg_catalog.isfinite(x) THEN pg_catalog.date_trunc('year', x) + pg_catalog.make_interval( \
         days => (h % 365)::integer, secs => (h / 365 % 86400)::double precision) ELSE x END",
    )
}

/// The same sign, and as many digits before and after the decimal point. Zero, NaN and ±infinity are kept.
fn number(value: &str, ty: PgType, hash: Hash<'_>) -> String {
    let limit = match ty.scalar {
        Scalar::Int2 => Some("32767"),
        Scalar::Int4 => Some("2147483647"),
        Scalar::Int8 => Some("9223372036854775807"),
        Scalar::Float4 => Some("3.4e38"),
        Scalar::Float8 => Some("1.7e308"),
        _ => None,
    };
    let scale = match ty.modifier {
        Modifier::Numeric { scale, .. } => format!("least(pg_catalog.scale(x), {scale})"),
        _ => "pg_catalog.scale(x)".to_owned(),
    };
    let h = hash.number("fake", &utf8(value), 15);
    let rows = format!("SELECT ({value})::numeric AS x, {h} AS h OFFSET 0");
    let rows = format!(
        "SELECT x, h, pg_catalog.trunc(pg_catalog.abs(x)) AS w FROM ({rows}) AS a OFFSET 0"
    );
    // `b` is the smallest number with as many digits.
    let rows = format!(
        "SELECT x, h, CASE WHEN w = 0 THEN 0 ELSE ('1e' || (pg_catalog.length(w::text) - 1)::text)::numeric END AS b \
         FROM ({rows}) AS a OFFSET 0"
    );
    let whole = "b + pg_catalog.div(b * 9 * h, 1152921504606846976)";
    let decimals = format!("pg_catalog.trunc((h % 1000000007)::numeric / 1000000007, {scale})");
    let sum = match limit {
        Some(limit) => format!("least({whole} + {decimals}, {limit})"),
        None => format!("{whole} + {decimals}"),
    };
    let fake = format!(
        "(SELECT CASE WHEN x = 0 THEN x ELSE pg_catalog.sign(x) * ({sum}) END FROM ({rows}) AS a)"
    );
    // Only NaN and ±infinity minus themselves are not 0.
    format!(
        "CASE WHEN {value} - {value} <> 0 THEN {value} ELSE {fake}::{} END",
        ty.bare()
    )
}
