//! How a column is masked when its rows are copied to a laptop: the masks, and the types each supports. The SQL of each
//! mask is in `template`.

use super::pg_type::{Modifier, PgType, Scalar};
use crate::error::{Error, Result};
use std::fmt;
use xxhash_rust::xxh3::xxh3_64;

/// Hexadecimal digits of a hash in a text column.
pub const HASH_DIGITS: u32 = 32;

/// With fewer digits (64 bits), different values could get the same hash.
const LEAST_DIGITS: u32 = 16;

/// What replaces a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mask {
    /// Equal values stay equal, different values stay different; the type stays the same.
    Hash,
    /// NULL.
    Null,
    /// A value of the same kind: a name, a number with as many digits, a day in the same year.
    Fake,
}

impl Mask {
    /// # Errors
    /// Anything but `hash`, `null` and `fake`.
    pub fn parse(text: &str) -> Result<Mask> {
        let known = [Mask::Hash, Mask::Null, Mask::Fake];
        known
            .into_iter()
            .find(|mask| mask.as_str() == text)
            .ok_or_else(|| {
                Error::config(format!("`{text}` is not a mask"))
                    .with_hint("the masks are \"hash\", \"null\" and \"fake\"")
            })
    }

    /// As written in a template.
    pub fn as_str(self) -> &'static str {
        match self {
            Mask::Hash => "hash",
            Mask::Null => "null",
            Mask::Fake => "fake",
        }
    }

    /// Whether different values stay different.
    pub fn keeps_apart(self) -> bool {
        self == Mask::Hash
    }

    /// What to write instead, when a type cannot have this mask; `None` when it can.
    pub fn refusal(self, ty: PgType) -> Option<&'static str> {
        use Scalar::{
            Bool, Bytea, Date, Float4, Float8, Inet, Int2, Int4, Int8, Json, Jsonb, Name, Numeric,
            Text, Time, Timestamp, Timestamptz, Uuid, Varchar,
        };
        if self == Mask::Null {
            return None;
        }
        if ty.array {
            return Some("an array can only be masked as a whole: write `mask = \"null\"`");
        }
        match (self, ty.scalar) {
            (Mask::Hash, Varchar) if too_short(ty) => {
                Some("a hash needs 16 characters: declare at least `varchar(16)`, or `text`")
            }
            (Mask::Hash, Text | Varchar | Name | Bytea | Uuid | Int2 | Int4 | Int8) => None,
            (Mask::Hash, Numeric) => Some(
                "only text, bytes, uuid and integers can be hashed: declare `bigint` or `text`, or write `mask = \"fake\"`",
            ),
            (Mask::Hash, Float4 | Float8 | Date | Time | Timestamp | Timestamptz | Inet) => {
                Some("write `mask = \"fake\"` or `mask = \"null\"`")
            }
            (
                Mask::Fake,
                Text | Varchar | Int2 | Int4 | Int8 | Numeric | Float4 | Float8 | Date | Time
                | Timestamp | Timestamptz | Inet,
            ) => None,
            (Mask::Fake, Uuid | Bytea | Name) => Some("write `mask = \"hash\"`"),
            (_, Bool) => Some("a mask of a boolean reveals the value: write `mask = \"null\"`"),
            (_, Json | Jsonb) => Some(
                "extract fields in the query (`doc->>'city'`), or write `mask = \"null\"` for the whole document",
            ),
            _ => Some("write `mask = \"null\"`"),
        }
    }
}

impl fmt::Display for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn too_short(ty: PgType) -> bool {
    matches!(ty.modifier, Modifier::Length(n) if n < LEAST_DIGITS)
}

/// 32 random bytes that are mixed into every hash, so that nobody can find a value by hashing guesses. They are stored in
/// a separate file, never in a database, and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Salt([u8; 32]);

impl Salt {
    /// `bytes` must be random.
    pub fn new(bytes: [u8; 32]) -> Salt {
        Salt(bytes)
    }

    /// Reads 64 hexadecimal digits. There is no error message, since it could quote the salt.
    pub fn parse(text: &str) -> Option<Salt> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Salt(bytes))
    }

    /// 64 hexadecimal digits, for the salt file and for the query that is sent to a tenant.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// 16 hexadecimal digits that identify a salt without revealing it.
    pub fn fingerprint(&self) -> String {
        format!("{:016x}", xxh3_64(&self.0))
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Salt({}…)", self.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_that_does_not_fit_a_type_is_refused_with_an_alternative() {
        let refusal = |mask: Mask, ty: &str| mask.refusal(PgType::parse(ty).unwrap());
        for ty in [
            "text",
            "varchar",
            "varchar(16)",
            "uuid",
            "smallint",
            "bigint",
            "bytea",
        ] {
            assert_eq!(refusal(Mask::Hash, ty), None, "{ty}");
        }
        for ty in [
            "text",
            "varchar(2)",
            "numeric(5,2)",
            "real",
            "date",
            "timestamptz",
            "inet",
        ] {
            assert_eq!(refusal(Mask::Fake, ty), None, "{ty}");
        }
        for scalar in Scalar::ALL {
            for array in [false, true] {
                let ty = PgType {
                    array,
                    ..PgType::scalar(*scalar)
                };
                assert_eq!(Mask::Null.refusal(ty), None, "{ty}");
                for mask in [Mask::Hash, Mask::Fake] {
                    let told = mask.refusal(ty).unwrap_or("write");
                    assert!(
                        told.contains("write") || told.contains("declare"),
                        "{ty}: {told}"
                    );
                }
            }
        }
        for (mask, ty, word) in [
            (Mask::Hash, "varchar(15)", "varchar(16)"),
            (Mask::Hash, "numeric", "bigint"),
            (Mask::Hash, "boolean", "null"),
            (Mask::Hash, "date", "fake"),
            (Mask::Fake, "uuid", "hash"),
            (Mask::Fake, "jsonb", "->>"),
            (Mask::Hash, "text[]", "null"),
        ] {
            let told = refusal(mask, ty).unwrap();
            assert!(told.contains(word), "{mask} {ty}: {told}");
        }
    }

    #[test]
    fn a_salt_is_read_as_written_and_never_shown() {
        let salt = Salt::new(std::array::from_fn(|i| i as u8 * 7));
        assert_eq!(Salt::parse(&salt.hex()), Some(salt.clone()));
        assert_ne!(Salt::new([0; 32]).fingerprint(), salt.fingerprint());
        assert!(!format!("{salt:?}").contains(&salt.hex()[..16]));
        for wrong in ["abc", &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(Salt::parse(wrong), None);
        }
    }
}
