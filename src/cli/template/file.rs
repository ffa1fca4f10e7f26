//! A template file on disk.

use crate::error::{At, Error, Kind, Result};
use crate::unit::TemplateName;
use std::path::Path;

/// A template file. The template's name is the file's, without `.sql`.
pub struct TemplateFile {
    /// The path as it was typed.
    pub shown: String,
    pub name: TemplateName,
    pub source: String,
}

impl TemplateFile {
    pub fn read(path: &Path) -> Result<TemplateFile> {
        let shown = path.display().to_string();
        let stem = path.file_stem().and_then(|s| s.to_str());
        let name = stem
            .ok_or_else(|| Error::usage("the file name is not a valid template name"))
            .and_then(TemplateName::parse)
            .at(|| format!("`{shown}`"))?;
        let source = read_text(path)?;
        Ok(TemplateFile {
            shown,
            name,
            source,
        })
    }
}

pub fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| {
        Error::new(Kind::Config, format!("failed to read `{}`", path.display())).with_source(e)
    })
}
