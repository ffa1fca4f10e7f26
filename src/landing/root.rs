//! The root that a landing URL names.

use super::bucket::Bucket;
use super::cloud::Cloud;
use super::folder::LandingFolder;
use crate::error::{Error, Result};
use object_store::path::Path;
use std::path::PathBuf;
use url::Url;

#[derive(Debug, Clone)]
pub(super) enum Root {
    Folder(LandingFolder),
    Bucket(Bucket),
}

impl Root {
    /// # Errors
    /// Not a URL, an unknown scheme, or a secret in the URL. The message quotes the URL only when it cannot contain a
    /// secret.
    pub fn open(text: &str, variables: &[(String, String)]) -> Result<Root> {
        if text.starts_with('/') {
            return Err(Error::config("the landing must be a URL")
                .with_hint(format!("write file://{text}")));
        }
        let url = Url::parse(text).map_err(|e| {
            Error::config(format!("failed to parse the landing URL: {e}")).with_hint(FORMS)
        })?;
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
            return Err(Error::config(
                "a landing URL cannot contain a user, a password or parameters",
            )
            .with_hint("set credentials in environment variables: AWS_ACCESS_KEY_ID, …"));
        }
        match (url.scheme(), Cloud::of_scheme(url.scheme())) {
            ("file", _) => folder(&url).map(Root::Folder),
            (_, Some(cloud)) => bucket(cloud, &url, variables).map(Root::Bucket),
            (other, None) => Err(Error::config(format!(
                "a landing URL cannot begin with `{other}:`"
            ))
            .with_hint(FORMS)),
        }
    }
}

const FORMS: &str = "write file:///absolute/folder, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix";

fn folder(url: &Url) -> Result<LandingFolder> {
    let path: PathBuf = url.to_file_path().map_err(|()| {
        Error::config(format!("`{url}` does not name a folder on this machine")).with_hint(FORMS)
    })?;
    Ok(LandingFolder::new(path))
}

fn bucket(cloud: Cloud, url: &Url, variables: &[(String, String)]) -> Result<Bucket> {
    let name = url
        .host_str()
        .filter(|h| !h.is_empty())
        .ok_or_else(|| Error::config(format!("`{url}` does not name a bucket")).with_hint(FORMS))?;
    let prefix = Path::from_url_path(url.path())
        .map_err(|_| Error::config(format!("the path in `{url}` is not valid in a bucket")))?;
    Bucket::open(cloud, url.as_str(), name, prefix, variables)
}
