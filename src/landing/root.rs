//! What a landing's URL names.

use super::bucket::Bucket;
use super::cloud::Cloud;
use super::folder::Folder;
use crate::error::{Error, Result};
use object_store::path::Path;
use std::path::PathBuf;
use url::Url;

#[derive(Debug, Clone)]
pub(super) enum Root {
    Folder(Folder),
    Bucket(Bucket),
}

impl Root {
    /// # Errors
    /// What is no URL, has a scheme nobody knows, or names a secret where it does not belong. The URL is quoted only
    /// when it can hold none.
    pub fn open(text: &str, variables: &[(String, String)]) -> Result<Root> {
        if text.starts_with('/') {
            return Err(Error::config("a landing is named by a URL")
                .with_hint(format!("write file://{text}")));
        }
        let url = Url::parse(text).map_err(|e| {
            Error::config(format!("the landing's URL cannot be read: {e}")).with_hint(FORMS)
        })?;
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
            return Err(
                Error::config("a landing's URL takes no user, password or parameters")
                    .with_hint("credentials come from the environment: AWS_ACCESS_KEY_ID, …"),
            );
        }
        match (url.scheme(), Cloud::of_scheme(url.scheme())) {
            ("file", _) => folder(&url).map(Root::Folder),
            (_, Some(cloud)) => bucket(cloud, &url, variables).map(Root::Bucket),
            (other, None) => Err(Error::config(format!(
                "a landing's URL cannot begin with `{other}:`"
            ))
            .with_hint(FORMS)),
        }
    }
}

const FORMS: &str = "write file:///absolute/folder, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix";

fn folder(url: &Url) -> Result<Folder> {
    let path: PathBuf = url.to_file_path().map_err(|()| {
        Error::config(format!("`{url}` names no folder of this machine")).with_hint(FORMS)
    })?;
    Ok(Folder::new(path))
}

fn bucket(cloud: Cloud, url: &Url, variables: &[(String, String)]) -> Result<Bucket> {
    let name = url
        .host_str()
        .filter(|h| !h.is_empty())
        .ok_or_else(|| Error::config(format!("`{url}` names no bucket")).with_hint(FORMS))?;
    let prefix = Path::from_url_path(url.path())
        .map_err(|_| Error::config(format!("the folder in `{url}` cannot be one of a bucket")))?;
    Bucket::open(cloud, url.as_str(), name, prefix, variables)
}
