//! The object stores this build speaks to, set up from the environment variables that their own tools read.

use crate::error::{Error, Result};
use object_store::ObjectStore;
use object_store::multipart::MultipartStore;
use std::sync::Arc;

/// A bucket: whole objects, and uploads in parts.
pub(super) trait Store: ObjectStore + MultipartStore {}

impl<T: ObjectStore + MultipartStore> Store for T {}

/// A kind of object store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cloud {
    S3,
    Gcs,
    Azure,
}

impl Cloud {
    pub fn of_scheme(scheme: &str) -> Option<Cloud> {
        match scheme {
            "s3" | "s3a" => Some(Cloud::S3),
            "gs" | "gcs" => Some(Cloud::Gcs),
            "az" | "abfs" => Some(Cloud::Azure),
            _ => None,
        }
    }

    /// The cargo feature that builds it in.
    fn feature(self) -> &'static str {
        match self {
            Cloud::S3 => "s3",
            Cloud::Gcs => "gcs",
            Cloud::Azure => "azure",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Cloud::S3 => "S3",
            Cloud::Gcs => "Google Cloud Storage",
            Cloud::Azure => "Azure Blob Storage",
        }
    }

    /// Where credentials come from.
    pub fn credentials(self) -> &'static str {
        match self {
            Cloud::S3 => {
                "credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (with AWS_REGION; AWS_SESSION_TOKEN), a \
                 web identity, or the role of the machine; AWS_ENDPOINT_URL names another server than Amazon's"
            }
            Cloud::Gcs => {
                "credentials come from GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT, or the role of the machine"
            }
            Cloud::Azure => {
                "credentials come from AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, AZURE_CLIENT_ID, \
                 AZURE_CLIENT_SECRET and AZURE_TENANT_ID, or the identity of the machine"
            }
        }
    }

    fn not_built(self) -> Error {
        Error::config(format!("this build cannot speak to {}", self.name())).with_hint(format!(
            "rebuild with `cargo install --features {}`",
            self.feature()
        ))
    }

    /// A client for a bucket or container. `retries` per request, after a connection or a server failed.
    ///
    /// # Errors
    /// The store is not built in, or a variable makes no sense.
    pub fn client(
        self,
        bucket: &str,
        variables: &[(String, String)],
        retries: usize,
    ) -> Result<Arc<dyn Store>> {
        match self {
            #[cfg(feature = "s3")]
            Cloud::S3 => built::s3(bucket, variables, retries),
            #[cfg(feature = "gcs")]
            Cloud::Gcs => built::gcs(bucket, variables, retries),
            #[cfg(feature = "azure")]
            Cloud::Azure => built::azure(bucket, variables, retries),
            #[allow(unreachable_patterns)]
            _ => {
                let _ = (bucket, variables, retries);
                Err(self.not_built())
            }
        }
    }
}

/// Whether a request failed on its way, and not by what the store answered.
#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
pub(super) fn is_transport(error: &object_store::Error) -> bool {
    super::failure::chain(error).any(|e| e.is::<object_store::client::HttpError>())
}

/// Whether a request failed on its way, and not by what the store answered.
#[cfg(not(any(feature = "s3", feature = "gcs", feature = "azure")))]
pub(super) fn is_transport(_: &object_store::Error) -> bool {
    false
}

#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
mod built {
    use super::{Arc, Error, Result, Store};
    use object_store::{BackoffConfig, ClientConfigKey, RetryConfig};
    use std::time::Duration;

    /// A part may take long on a thin line: what ends a request is silence, below, not its length.
    const REQUEST_TIMEOUT: &str = "1 h";

    /// No byte for so long ends a request; it is tried again.
    const READ_TIMEOUT: &str = "2 min";

    fn retry(retries: usize) -> RetryConfig {
        RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(200),
                max_backoff: Duration::from_secs(10),
                base: 2.0,
            },
            max_retries: retries,
            retry_timeout: Duration::from_secs(240),
        }
    }

    /// What does not fit, in the client's own words unless they repeat a secret.
    fn refused(
        store: &str,
        prefix: &str,
        variables: &[(String, String)],
        cause: &object_store::Error,
    ) -> Error {
        let secret = |name: &str| {
            ["KEY", "SECRET", "TOKEN", "PASSWORD"]
                .iter()
                .any(|w| name.contains(w))
        };
        let why = crate::landing::failure::innermost(cause);
        let tells = variables
            .iter()
            .any(|(name, value)| secret(name) && !value.is_empty() && why.contains(value.as_str()));
        let why = if tells {
            String::new()
        } else {
            format!(": {why}")
        };
        Error::config(format!(
            "the variables {prefix}* for {store} do not fit together{why}"
        ))
    }

    macro_rules! client {
        ($name:ident, $builder:ty, $key:ty, $with_bucket:ident, $store:literal, $prefix:literal) => {
            pub fn $name(
                bucket: &str,
                variables: &[(String, String)],
                retries: usize,
            ) -> Result<Arc<dyn Store>> {
                // Ring, as for PostgreSQL; a second call finds it installed.
                let _ = rustls::crypto::ring::default_provider().install_default();
                let mut builder = <$builder>::new();
                for (key, value) in [
                    (ClientConfigKey::Timeout, REQUEST_TIMEOUT),
                    (ClientConfigKey::ReadTimeout, READ_TIMEOUT),
                ] {
                    builder = builder.with_config(<$key>::Client(key), value);
                }
                for (name, value) in variables {
                    if name.starts_with($prefix)
                        && !value.is_empty()
                        && let Ok(key) = name.to_ascii_lowercase().parse::<$key>()
                    {
                        builder = builder.with_config(key, value);
                    }
                }
                let store = builder
                    .$with_bucket(bucket)
                    .with_retry(retry(retries))
                    .build()
                    .map_err(|e| refused($store, $prefix, variables, &e))?;
                Ok(Arc::new(store))
            }
        };
    }

    #[cfg(feature = "s3")]
    client!(
        s3,
        object_store::aws::AmazonS3Builder,
        object_store::aws::AmazonS3ConfigKey,
        with_bucket_name,
        "S3",
        "AWS_"
    );
    #[cfg(feature = "gcs")]
    client!(
        gcs,
        object_store::gcp::GoogleCloudStorageBuilder,
        object_store::gcp::GoogleConfigKey,
        with_bucket_name,
        "Google Cloud Storage",
        "GOOGLE_"
    );
    #[cfg(feature = "azure")]
    client!(
        azure,
        object_store::azure::MicrosoftAzureBuilder,
        object_store::azure::AzureConfigKey,
        with_container_name,
        "Azure Blob Storage",
        "AZURE_"
    );
}

#[cfg(all(test, not(feature = "s3")))]
mod tests {
    use super::Cloud;

    #[test]
    fn a_store_that_is_not_built_in_is_named_with_its_feature() {
        let error = Cloud::S3.client("x", &[], 0).unwrap_err();
        assert_eq!(error.message(), "this build cannot speak to S3");
        assert!(error.hint().unwrap().contains("--features s3"));
    }
}
