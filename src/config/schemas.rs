//! The two schemas that every statement about the warehouse names.

/// Where the catalog is, and where the public views are. Only a bench, which works in a warehouse that is in use, has
/// others than the defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schemas {
    /// Default `_wh`.
    pub catalog: String,
    /// Default `public`.
    pub public: String,
}

impl Default for Schemas {
    fn default() -> Schemas {
        Schemas {
            catalog: "_wh".into(),
            public: "public".into(),
        }
    }
}

impl Schemas {
    /// Sets the schema that a key names.
    pub(super) fn take(&mut self, key: &str, name: String) -> Result<(), String> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty()
            || !name.chars().all(fits)
            || name.starts_with(|c: char| c.is_ascii_digit())
        {
            return Err(format!(
                "`{name}` is not a schema's name: use lowercase letters, digits and `_`"
            ));
        }
        match key {
            "catalog_schema" => self.catalog = name,
            _ => self.public = name,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_that_would_need_quotes_is_refused() {
        let mut schemas = Schemas::default();
        schemas.take("catalog_schema", "scratch_wh".into()).unwrap();
        assert_eq!(schemas.catalog, "scratch_wh");
        assert_eq!(schemas.public, "public");
        for wrong in ["", "1a", "A", "a b", "a\"b", "a'b", "a.b"] {
            assert!(
                schemas.take("public_schema", wrong.into()).is_err(),
                "{wrong}"
            );
        }
    }
}
