//! The types a template can declare, and which source types convert to them without loss.

use crate::error::{Error, Result};
use std::fmt;

macro_rules! scalars {
    ($($variant:ident $sql:literal $oid:literal $array_oid:literal $aliases:expr;)*) => {
        /// A built-in type that a template can declare, alone or as the element of an array.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Scalar {
            $(#[doc = $sql] $variant,)*
        }

        impl Scalar {
            pub const ALL: &'static [Scalar] = &[$(Scalar::$variant,)*];

            /// The name in SQL, without modifier.
            pub fn sql(self) -> &'static str {
                match self { $(Scalar::$variant => $sql,)* }
            }

            /// The type's OID, the same on every server (`pg_type.dat`).
            pub fn oid(self) -> u32 {
                match self { $(Scalar::$variant => $oid,)* }
            }

            /// The OID of the array of this type.
            pub fn array_oid(self) -> u32 {
                match self { $(Scalar::$variant => $array_oid,)* }
            }

            fn aliases(self) -> &'static [&'static str] {
                match self { $(Scalar::$variant => &$aliases,)* }
            }
        }
    };
}

scalars! {
    Bool "boolean" 16 1000 ["bool"];
    Int2 "smallint" 21 1005 ["int2"];
    Int4 "integer" 23 1007 ["int", "int4"];
    Int8 "bigint" 20 1016 ["int8"];
    Float4 "real" 700 1021 ["float4"];
    Float8 "double precision" 701 1022 ["float8", "float"];
    Numeric "numeric" 1700 1231 ["decimal"];
    Text "text" 25 1009 [];
    Varchar "varchar" 1043 1015 ["character varying"];
    Name "name" 19 1003 [];
    Bytea "bytea" 17 1001 [];
    Date "date" 1082 1182 [];
    Time "time" 1083 1183 ["time without time zone"];
    Timetz "timetz" 1266 1270 ["time with time zone"];
    Timestamp "timestamp" 1114 1115 ["timestamp without time zone"];
    Timestamptz "timestamptz" 1184 1185 ["timestamp with time zone"];
    Interval "interval" 1186 1187 [];
    Uuid "uuid" 2950 2951 [];
    Json "json" 114 199 [];
    Jsonb "jsonb" 3802 3807 [];
    Inet "inet" 869 1041 [];
    Cidr "cidr" 650 651 [];
    Macaddr "macaddr" 829 1040 [];
    Macaddr8 "macaddr8" 774 775 [];
}

/// The part in parentheses after a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Modifier {
    None,
    /// `varchar(n)`: at most `n` characters.
    Length(u32),
    /// `numeric(p,s)`: `precision` digits in total, `scale` of them after the decimal point.
    Numeric {
        precision: u16,
        scale: u16,
    },
}

impl Modifier {
    /// Reads the `arguments` in parentheses after `scalar`, or returns what to write instead.
    fn parse(scalar: Scalar, arguments: &str) -> Result<Modifier, &'static str> {
        match scalar {
            Scalar::Varchar => match arguments.parse::<u32>() {
                Ok(n) if (1..=10_485_760).contains(&n) => Ok(Modifier::Length(n)),
                _ => Err("the length must be from 1 to 10485760"),
            },
            Scalar::Numeric => numeric_modifier(arguments)
                .ok_or("write `numeric(p,s)` with 1 ≤ p ≤ 1000 and 0 ≤ s ≤ p, or `numeric`"),
            Scalar::Time
            | Scalar::Timetz
            | Scalar::Timestamp
            | Scalar::Timestamptz
            | Scalar::Interval => {
                Err("a precision would round values silently: write the type without it")
            }
            _ => Err("this type has no modifier"),
        }
    }
}

/// A column's type: a supported scalar or an array of it, and its modifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PgType {
    pub scalar: Scalar,
    pub array: bool,
    pub modifier: Modifier,
}

impl PgType {
    pub const fn scalar(scalar: Scalar) -> PgType {
        PgType {
            scalar,
            array: false,
            modifier: Modifier::None,
        }
    }

    /// Reads a type in any common spelling: `numeric(10,2)`, `character varying(20)`, `int4[]`.
    ///
    /// # Errors
    /// The type is not supported; the message says what to write instead.
    pub fn parse(text: &str) -> Result<PgType> {
        let lower = text.trim().to_ascii_lowercase();
        let words = lower.split_whitespace().collect::<Vec<_>>().join(" ");
        let (words, array) = match words.strip_suffix("[]") {
            Some(inner) => (inner.trim_end().to_owned(), true),
            None => (words, false),
        };
        if words.ends_with(']') {
            return Err(refuse(
                text,
                "only one-dimensional arrays are supported: write `type[]`",
            ));
        }
        let (base, arguments, tail) =
            split_modifier(&words).ok_or_else(|| refuse(text, "a parenthesis is not closed"))?;
        let base = if tail.is_empty() {
            base.to_owned()
        } else {
            format!("{base} {tail}")
        };
        let scalar = Scalar::ALL
            .iter()
            .copied()
            .find(|s| s.sql() == base || s.aliases().contains(&base.as_str()))
            .ok_or_else(|| refuse(text, instead_of(&base)))?;
        let modifier = match arguments {
            None => Modifier::None,
            Some(_) if array => {
                return Err(refuse(
                    text,
                    "length and precision are not supported in arrays: write it without",
                ));
            }
            Some(arguments) => {
                Modifier::parse(scalar, arguments).map_err(|why| refuse(text, why))?
            }
        };
        Ok(PgType {
            scalar,
            array,
            modifier,
        })
    }

    /// The type of a source column, from its OID (`pg_type.oid`); without modifier.
    pub fn from_oid(oid: u32) -> Option<PgType> {
        Scalar::ALL.iter().copied().find_map(|scalar| {
            if scalar.oid() == oid {
                Some(PgType::scalar(scalar))
            } else if scalar.array_oid() == oid {
                Some(PgType {
                    array: true,
                    ..PgType::scalar(scalar)
                })
            } else {
                None
            }
        })
    }

    /// This type's OID in `pg_type` and in binary arrays.
    pub fn oid(&self) -> u32 {
        if self.array {
            self.scalar.array_oid()
        } else {
            self.scalar.oid()
        }
    }

    /// The type without length or precision, as used in casts and views.
    pub fn bare(&self) -> PgType {
        PgType {
            modifier: Modifier::None,
            ..*self
        }
    }

    /// Whether every value of a source column of type `from` converts to this type unchanged. Where a modifier narrows
    /// them, values are still checked as they are loaded. Any other pair needs a cast in the template, where it is
    /// visible.
    pub fn takes(&self, from: &PgType) -> bool {
        use Scalar::{Cidr, Float4, Float8, Inet, Int2, Int4, Int8, Name, Numeric, Text, Varchar};
        if from.array != self.array {
            return false;
        }
        if from.scalar == self.scalar {
            return true;
        }
        matches!(
            (from.scalar, self.scalar),
            (Int2, Int4 | Int8 | Numeric | Float4 | Float8)
                | (Int4, Int8 | Numeric | Float8)
                | (Int8, Numeric)
                | (Float4, Float8)
                | (Text | Name, Varchar)
                | (Varchar | Name, Text)
                | (Cidr, Inet)
        )
    }

    /// Whether the type can be a time column: each value belongs to exactly one UTC day.
    pub fn is_time(&self) -> bool {
        !self.array
            && matches!(
                self.scalar,
                Scalar::Timestamptz | Scalar::Timestamp | Scalar::Date
            )
    }
}

impl fmt::Display for PgType {
    /// As written in `CREATE TABLE`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scalar.sql())?;
        match self.modifier {
            Modifier::None => {}
            Modifier::Length(n) => write!(f, "({n})")?,
            Modifier::Numeric { precision, scale } => write!(f, "({precision},{scale})")?,
        }
        if self.array {
            f.write_str("[]")?;
        }
        Ok(())
    }
}

/// `name(args) tail` → (name, args, tail).
fn split_modifier(words: &str) -> Option<(&str, Option<&str>, &str)> {
    let Some(open) = words.find('(') else {
        return (!words.contains(')')).then_some((words, None, ""));
    };
    let close = words.find(')')?;
    let inside = words.get(open + 1..close)?;
    Some((
        words[..open].trim_end(),
        Some(inside.trim()),
        words[close + 1..].trim(),
    ))
}

fn numeric_modifier(arguments: &str) -> Option<Modifier> {
    let mut parts = arguments.split(',').map(str::trim);
    let precision = parts.next()?.parse().ok()?;
    let scale = match parts.next() {
        Some(s) => s.parse().ok()?,
        None => 0,
    };
    (parts.next().is_none() && (1..=1000).contains(&precision) && scale <= precision)
        .then_some(Modifier::Numeric { precision, scale })
}

fn refuse(ty: &str, instead: &str) -> Error {
    Error::refused(format!("type `{}` is not supported: {instead}", ty.trim()))
}

/// What to write instead of an unsupported type.
fn instead_of(base: &str) -> &'static str {
    match base {
        "char" | "character" | "bpchar" => {
            "it pads values with spaces: cast it in the query (`c::text`) and declare `text`"
        }
        "bit" | "bit varying" | "varbit" => "cast it in the query (`c::text`) and declare `text`",
        "money" => {
            "it depends on the server's locale: cast it (`c::numeric`) and declare `numeric`"
        }
        "xml" => "cast it in the query (`c::text`) and declare `text`",
        "oid" | "xid" | "xid8" | "cid" | "tid" => {
            "cast it in the query (`c::text::bigint`) and declare `bigint`"
        }
        "serial" | "serial4" => "declare `integer`",
        "bigserial" | "serial8" => "declare `bigint`",
        "smallserial" | "serial2" => "declare `smallint`",
        "timestamp tz" => "declare `timestamptz`",
        b if b.starts_with("reg") => {
            "its OIDs differ between servers: cast it (`c::text`) and declare `text`"
        }
        b if b.starts_with("interval ") => {
            "fields would truncate values silently: declare `interval`"
        }
        _ => {
            "cast enums, domains, composites and extension types in the query (`c::text`) and declare `text`"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_read_in_any_common_spelling() {
        for (text, sql) in [
            ("int4", "integer"),
            ("INTEGER", "integer"),
            ("numeric( 10 , 2 )", "numeric(10,2)"),
            ("decimal(5)", "numeric(5,0)"),
            ("character varying(20)", "varchar(20)"),
            ("timestamp with time zone", "timestamptz"),
            ("double  precision", "double precision"),
            ("text[]", "text[]"),
            ("time without time zone", "time"),
        ] {
            assert_eq!(PgType::parse(text).unwrap().to_string(), sql, "{text}");
        }
    }

    #[test]
    fn a_type_that_could_change_a_value_is_refused_with_what_to_write() {
        for (text, instead) in [
            ("char(3)", "c::text"),
            ("bit(8)", "c::text"),
            ("timestamp(3)", "without it"),
            ("timestamp(3) with time zone", "without it"),
            ("interval(2)", "without it"),
            ("interval day", "declare `interval`"),
            ("numeric(5,-2)", "numeric(p,s)"),
            ("varchar(20)[]", "in arrays"),
            ("money", "c::numeric"),
            ("regclass", "c::text"),
            ("xml", "c::text"),
            ("mood", "c::text"),
            ("int[][]", "one-dimensional"),
        ] {
            let message = PgType::parse(text).unwrap_err().to_string();
            assert!(message.contains(instead), "{text}: {message}");
        }
    }

    #[test]
    fn only_lossless_pairs_are_cast() {
        let ty = |t: &str| PgType::parse(t).unwrap();
        for (from, to) in [
            ("varchar", "text"),
            ("integer", "bigint"),
            ("numeric", "numeric(10,2)"),
            ("text", "varchar(3)"),
            ("cidr", "inet"),
            ("int[]", "bigint[]"),
        ] {
            assert!(ty(to).takes(&ty(from)), "{from} → {to}");
        }
        for (from, to) in [
            ("numeric", "integer"),
            ("timestamptz", "date"),
            ("double precision", "numeric"),
            ("text", "name"),
            ("bigint", "double precision"),
            ("timestamp", "timestamptz"),
            ("int", "int[]"),
        ] {
            assert!(!ty(to).takes(&ty(from)), "{from} → {to}");
        }
    }

    #[test]
    fn oids_name_types_both_ways() {
        for scalar in Scalar::ALL {
            assert_eq!(PgType::from_oid(scalar.oid()).unwrap().scalar, *scalar);
            assert!(PgType::from_oid(scalar.array_oid()).unwrap().array);
        }
        assert!(PgType::from_oid(1042).is_none());
    }
}
