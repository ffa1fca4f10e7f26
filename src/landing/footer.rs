//! What a file contains, as key-value metadata of its footer.

use super::object::ObjectPath;
use crate::copy::{Digest, Tally};
use crate::error::{Error, Kind, Result};
use crate::schema::{Column, LandAs};
use crate::template::Template;
use crate::unit::{Day, SchemaName, TemplateName, TenantName};
use parquet::file::metadata::KeyValue;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Version of this metadata and of the layout. Readers reject other versions.
const FORMAT: &str = "1";

/// Where a file's rows come from, known before the first row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub tenant: TenantName,
    pub schema: SchemaName,
    pub template: TemplateName,
    /// The template's whole file, so that a catalog can be rebuilt from landed files alone.
    pub template_source: String,
    /// Column and PostgreSQL type, in the order of the columns.
    pub types: Vec<(String, String)>,
    /// The template's version, 32 hex digits.
    pub version: String,
    pub day: Day,
}

impl Origin {
    pub fn new(tenant: &TenantName, schema: &SchemaName, template: &Template, day: Day) -> Origin {
        Origin {
            tenant: tenant.clone(),
            schema: schema.clone(),
            template: template.name.clone(),
            template_source: template.source.clone(),
            types: template
                .columns
                .iter()
                .map(|c| (c.name.clone(), c.ty.to_string()))
                .collect(),
            version: template.version().to_owned(),
            day,
        }
    }

    /// The object that contains these rows.
    pub fn object(&self) -> ObjectPath {
        ObjectPath {
            template: self.template.clone(),
            schema: self.schema.clone(),
            day: self.day,
        }
    }
}

/// The rows of a file as they are read back from it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowsInFile {
    pub digest: Digest,
    /// Values that the file holds only rounded.
    pub rounded: u64,
}

/// The metadata of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footer {
    pub origin: Origin,
    pub rows: u64,
    /// The digest of the tuples at the source.
    pub digest: Digest,
    /// The digest of the tuples read back from the file, where they differ: the display scale of a numeric without precision
    /// is lost in a decimal. `None` means that they are the same.
    pub restored_digest: Option<Digest>,
    /// Values that the file holds only rounded; `None`: none can be, or an earlier version wrote the file and did not count
    /// them.
    pub rounded: Option<u64>,
    /// The run that wrote it (`_wh.run.id`).
    pub run: i64,
}

impl Footer {
    pub(super) fn new(
        origin: Origin,
        tally: &Tally,
        restored: Option<RowsInFile>,
        run: i64,
    ) -> Footer {
        Footer {
            origin,
            rows: tally.rows,
            digest: tally.digest,
            restored_digest: restored.map(|restored| restored.digest),
            rounded: restored.map(|restored| restored.rounded),
            run,
        }
    }

    /// Whether the file holds, or may hold, rounded values. `written` is the template in the footer.
    pub fn is_lossy(&self, written: &Template) -> bool {
        let as_double = |column: &Column| column.land == Some(LandAs::Double);
        match self.rounded {
            Some(values) => values > 0,
            None => self.restored_digest.is_some() && written.columns.iter().any(as_double),
        }
    }

    /// The digest of the rows read back from the file.
    pub fn digest_of_rows(&self) -> Digest {
        self.restored_digest.unwrap_or(self.digest)
    }

    pub(super) fn key_values(&self) -> Result<Vec<KeyValue>> {
        let origin = &self.origin;
        let types = serde_json::to_string(&Types(&origin.types)).map_err(|e| {
            Error::new(Kind::Bug, "failed to write the column types as JSON").with_source(e)
        })?;
        let mut pairs = vec![
            ("format", FORMAT.to_owned()),
            ("tenant", origin.tenant.to_string()),
            ("schema", origin.schema.to_string()),
            ("template", origin.template.to_string()),
            ("template_source", origin.template_source.clone()),
            ("types", types),
            ("version", origin.version.clone()),
            ("day", origin.day.to_string()),
            ("rows", self.rows.to_string()),
            ("digest", self.digest.to_string()),
            ("run", self.run.to_string()),
        ];
        if let Some(digest) = self.restored_digest {
            pairs.push(("restored_digest", digest.to_string()));
        }
        if let Some(values) = self.rounded {
            pairs.push(("rounded", values.to_string()));
        }
        Ok(pairs
            .into_iter()
            .map(|(key, value)| KeyValue::new(format!("dayhaul.{key}"), value))
            .collect())
    }

    /// Reads the metadata of a file's footer.
    ///
    /// # Errors
    /// A key is missing or invalid: the file was not written by Dayhaul, or by a later version.
    pub(super) fn read(pairs: Option<&Vec<KeyValue>>) -> Result<Footer> {
        let keys = FooterKeys(pairs.map_or(&[], |p| p.as_slice()));
        let format = keys.text("format")?;
        if format != FORMAT {
            return Err(Error::new(
                Kind::Io,
                format!(
                    "it has format {format}, but this version of dayhaul reads format {FORMAT}"
                ),
            ));
        }
        Ok(Footer {
            origin: Origin {
                tenant: keys.parsed("tenant")?,
                schema: keys.parsed("schema")?,
                template: keys.parsed("template")?,
                template_source: keys.text("template_source")?.to_owned(),
                types: keys.types()?,
                version: keys.text("version")?.to_owned(),
                day: keys.parsed("day")?,
            },
            rows: keys.parsed("rows")?,
            digest: keys.parsed("digest")?,
            restored_digest: match keys.find("restored_digest") {
                Some(_) => Some(keys.parsed("restored_digest")?),
                None => None,
            },
            rounded: match keys.find("rounded") {
                Some(_) => Some(keys.parsed("rounded")?),
                None => None,
            },
            run: keys.parsed("run")?,
        })
    }
}

/// The footer's metadata, by key without `dayhaul.`.
struct FooterKeys<'a>(&'a [KeyValue]);

impl FooterKeys<'_> {
    fn find(&self, key: &str) -> Option<&str> {
        let pair = self
            .0
            .iter()
            .find(|p| p.key.strip_prefix("dayhaul.") == Some(key))?;
        pair.value.as_deref()
    }

    fn text(&self, key: &str) -> Result<&str> {
        self.find(key).ok_or_else(|| {
            let what = if key == "format" {
                "it was not written by dayhaul: its footer has no `dayhaul.format`".to_owned()
            } else {
                format!("its footer has no `dayhaul.{key}`")
            };
            Error::new(Kind::Io, what)
        })
    }

    fn parsed<T: FromStr>(&self, key: &str) -> Result<T> {
        self.text(key)?.parse().map_err(|_| invalid(key))
    }

    fn types(&self) -> Result<Vec<(String, String)>> {
        let types: TypesRead =
            serde_json::from_str(self.text("types")?).map_err(|_| invalid("types"))?;
        Ok(types.0)
    }
}

fn invalid(key: &str) -> Error {
    Error::new(
        Kind::Io,
        format!("`dayhaul.{key}` in its footer is invalid"),
    )
}

/// A JSON object that keeps the order of its keys.
struct Types<'a>(&'a [(String, String)]);

impl Serialize for Types<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, ty)| (name, ty)))
    }
}

struct TypesRead(Vec<(String, String)>);

impl<'de> Deserialize<'de> for TypesRead {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TypesRead, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = TypesRead;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of column names and types")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TypesRead, A::Error> {
                let mut types = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    types.push(entry);
                }
                Ok(TypesRead(types))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn footer() -> Footer {
        let mut tally = Tally::default();
        tally.add(b"tuple");
        Footer::new(
            Origin {
                tenant: TenantName::parse("acme-prod").unwrap(),
                schema: SchemaName::parse("acme_prod").unwrap(),
                template: TemplateName::parse("orders").unwrap(),
                template_source: "/* \"é\" */ SELECT 1".into(),
                types: [
                    ("z", "numeric(10,2)"),
                    ("a \"q\"", "text[]"),
                    ("m", "bigint"),
                ]
                .map(|(n, t)| (n.to_owned(), t.to_owned()))
                .to_vec(),
                version: "0".repeat(32),
                day: "2024-02-29".parse().unwrap(),
            },
            &tally,
            Some(RowsInFile {
                digest: Digest::of(b"other"),
                rounded: 3,
            }),
            7,
        )
    }

    #[test]
    fn a_footer_is_read_back_as_it_was_written() {
        let footer = footer();
        let pairs = footer.key_values().unwrap();
        assert_eq!(Footer::read(Some(&pairs)).unwrap(), footer);
        let exact = Footer {
            restored_digest: None,
            rounded: None,
            ..footer
        };
        let pairs = exact.key_values().unwrap();
        assert_eq!(Footer::read(Some(&pairs)).unwrap(), exact);
    }

    #[test]
    fn a_file_whose_rounded_values_nobody_counted_may_be_lossy() {
        let template = |land: &str| {
            let source = format!(
                "/*\ntime_column = \"at\"\n[columns]\nat = \"timestamptz\"\nn = {{ type = \"numeric\", land = \"{land}\" }}\n*/\n\
                 SELECT at, n FROM e WHERE at >= {{from}} AND at < {{to}}"
            );
            Template::parse(TemplateName::parse("orders").unwrap(), &source).unwrap()
        };
        let (double, decimal) = (template("double"), template("decimal(20,6)"));
        let of = |rounded: Option<u64>, restored_digest: Option<Digest>| Footer {
            rounded,
            restored_digest,
            ..footer()
        };
        let other = Some(Digest::of(b"other"));
        assert!(of(Some(1), other).is_lossy(&double));
        assert!(!of(Some(0), other).is_lossy(&double));
        assert!(of(None, other).is_lossy(&double));
        assert!(!of(None, other).is_lossy(&decimal));
        assert!(!of(None, None).is_lossy(&double));
    }

    #[test]
    fn a_footer_that_lacks_something_says_what() {
        let of = |change: &dyn Fn(&mut Vec<KeyValue>)| {
            let mut pairs = footer().key_values().unwrap();
            change(&mut pairs);
            Footer::read(Some(&pairs)).unwrap_err().to_string()
        };
        let none = Footer::read(None).unwrap_err().to_string();
        assert!(none.contains("not written by dayhaul"), "{none}");
        let no_digest = of(&|pairs| pairs.retain(|p| p.key != "dayhaul.digest"));
        assert!(no_digest.contains("`dayhaul.digest`"), "{no_digest}");
        let later = of(&|pairs| pairs[0].value = Some("2".into()));
        assert!(later.contains("format 2"), "{later}");
        for key in ["rows", "types", "day", "run"] {
            let invalid = of(&|pairs| {
                let name = format!("dayhaul.{key}");
                pairs.iter_mut().find(|p| p.key == name).unwrap().value = Some("?".into());
            });
            assert!(invalid.contains(key), "{invalid}");
        }
    }
}
