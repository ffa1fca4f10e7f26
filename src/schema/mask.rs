//! How a column is masked where its rows leave for somebody's laptop: which masks there are, and which types they take.
//! Pure; the SQL of each mask is the template's business.

use super::{Modifier, PgType, Scalar};
use crate::error::{Error, Result};
use std::fmt;
use xxhash_rust::xxh3::xxh3_64;

/// Hexadecimal digits of a hash in a text column.
pub const HASH_DIGITS: u32 = 32;

/// Fewer digits than these (64 bits) would make two values one.
const LEAST_DIGITS: u32 = 16;

/// What stands in the place of a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mask {
    /// The same for the same value, another one for another value, and of the same type.
    Hash,
    /// Nothing.
    Null,
    /// Something of the same kind: a name, a number of as many digits, a day of the same year.
    Fake,
}

impl Mask {
    /// # Errors
    /// Anything but `hash`, `null` and `fake`.
    pub fn parse(text: &str) -> Result<Mask> {
        match text {
            "hash" => Ok(Mask::Hash),
            "null" => Ok(Mask::Null),
            "fake" => Ok(Mask::Fake),
            _ => Err(Error::config(format!("`{text}` is no mask"))
                .with_hint("the masks are \"hash\", \"null\" and \"fake\"")),
        }
    }

    /// As it stands in a template.
    pub fn as_str(self) -> &'static str {
        match self {
            Mask::Hash => "hash",
            Mask::Null => "null",
            Mask::Fake => "fake",
        }
    }

    /// Whether two different values stay two different values.
    pub fn keeps_apart(self) -> bool {
        self == Mask::Hash
    }

    /// Why a type cannot be masked so, with what to write instead; `None` when it can.
    pub fn refusal(self, ty: PgType) -> Option<&'static str> {
        use Scalar::{
            Bool, Bytea, Date, Float4, Float8, Inet, Int2, Int4, Int8, Json, Jsonb, Name, Numeric,
            Text, Time, Timestamp, Timestamptz, Uuid, Varchar,
        };
        if self == Mask::Null {
            return None;
        }
        if ty.array {
            return Some("an array is masked as a whole: write `mask = \"null\"`");
        }
        match (self, ty.scalar) {
            (Mask::Hash, Varchar) if too_short(ty) => {
                Some("a hash needs 16 characters: declare `varchar(16)`, longer or `text`")
            }
            (Mask::Hash, Text | Varchar | Name | Bytea | Uuid | Int2 | Int4 | Int8) => None,
            (Mask::Hash, Numeric) => Some(
                "a hash is made of text, bytes, uuid or integers: declare `bigint` or `text`, or write `mask = \"fake\"`",
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
            (_, Bool) => Some("of two values either tells the other: write `mask = \"null\"`"),
            (_, Json | Jsonb) => Some(
                "what is in a document is for the query to pick out (`doc->>'city'`); as a whole, write `mask = \"null\"`",
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

/// What is mixed into every hash, so that nobody finds a value by hashing guesses. 32 random bytes, kept in a file of
/// their own; never in a database, and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Salt([u8; 32]);

impl Salt {
    /// `bytes` come from a source that nobody can guess.
    pub fn new(bytes: [u8; 32]) -> Salt {
        Salt(bytes)
    }

    /// Reads 64 hexadecimal digits; what is not that is not repeated.
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

    /// 64 hexadecimal digits: for its file, and for the query that is sent to a tenant.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// 16 hexadecimal digits that tell one salt from another, and no more.
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
    fn a_mask_that_makes_no_sense_for_a_type_is_refused_with_what_to_write() {
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
    fn a_salt_reads_as_it_was_written_and_is_never_shown() {
        let salt = Salt::new(std::array::from_fn(|i| i as u8 * 7));
        assert_eq!(Salt::parse(&salt.hex()), Some(salt.clone()));
        assert_ne!(Salt::new([0; 32]).fingerprint(), salt.fingerprint());
        assert!(!format!("{salt:?}").contains(&salt.hex()[..16]));
        for wrong in ["abc", &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(Salt::parse(wrong), None);
        }
    }
}
