//! Clients of object stores, configured by the environment variables that the stores' own tools read.

#[cfg(feature = "s3")]
use super::aws_profile::{note_of_default_file, refuse_profile};
use crate::error::{Error, Result};
use object_store::ObjectStore;
use object_store::multipart::MultipartStore;
use std::sync::Arc;

/// A client for whole objects and for uploads in parts.
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

    /// The cargo feature that includes it.
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

    /// A hint: where credentials come from.
    pub fn credentials(self) -> String {
        let from = self.credentials_come_from();
        #[cfg(feature = "s3")]
        if self == Cloud::S3
            && let Some(note) =
                note_of_default_file(|name| std::env::var(name).ok(), std::path::Path::exists)
        {
            return format!("{note}; {from}");
        }
        from.to_owned()
    }

    fn credentials_come_from(self) -> &'static str {
        match self {
            Cloud::S3 => {
                "credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (with AWS_REGION; AWS_SESSION_TOKEN), a \
                 web identity, or the machine's role; set AWS_ENDPOINT_URL for a server other than Amazon's"
            }
            Cloud::Gcs => {
                "credentials come from GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT, or the machine's role"
            }
            Cloud::Azure => {
                "credentials come from AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, AZURE_CLIENT_ID, \
                 AZURE_CLIENT_SECRET and AZURE_TENANT_ID, or the machine's identity"
            }
        }
    }

    fn not_built(self) -> Error {
        Error::config(format!("this build does not support {}", self.name())).with_hint(format!(
            "rebuild with `cargo install --features {}`",
            self.feature()
        ))
    }

    /// A client for a bucket or container that repeats a request `retries` times after a connection or server failure.
    ///
    /// # Errors
    /// This build does not include the store, or a variable is invalid or not read.
    pub fn client(
        self,
        bucket: &str,
        variables: &[(String, String)],
        retries: usize,
    ) -> Result<Arc<dyn Store>> {
        match self {
            #[cfg(feature = "s3")]
            Cloud::S3 => {
                let set = |name: &str| {
                    let mut of_name = variables.iter().filter(|(n, _)| n == name);
                    of_name.next().map(|(_, value)| value.clone())
                };
                refuse_profile(set)?;
                built::s3(bucket, variables, retries)
            }
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

#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
mod built {
    use super::{Arc, Error, Result, Store};
    use crate::landing::store_response::innermost;
    use object_store::{BackoffConfig, ClientConfigKey, RetryConfig};
    use std::time::Duration;

    /// A part may take long on a slow line. Requests end by `READ_TIMEOUT`, not by their duration.
    const REQUEST_TIMEOUT: &str = "1 h";

    /// A request that receives no byte for so long is retried.
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

    /// The client's message, unless it repeats a secret.
    fn invalid_variables(
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
        let why = innermost(cause);
        let reveals = variables
            .iter()
            .any(|(name, value)| secret(name) && !value.is_empty() && why.contains(value.as_str()));
        let why = if reveals {
            String::new()
        } else {
            format!(": {why}")
        };
        Error::config(format!(
            "the {prefix}* variables for {store} are inconsistent{why}"
        ))
    }

    macro_rules! client {
        ($name:ident, $builder:ty, $key:ty, $with_bucket:ident, $store:literal, $prefix:literal) => {
            pub fn $name(
                bucket: &str,
                variables: &[(String, String)],
                retries: usize,
            ) -> Result<Arc<dyn Store>> {
                // Ring, as for PostgreSQL. A second call fails, as it is already installed.
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
                    .map_err(|e| invalid_variables($store, $prefix, variables, &e))?;
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

#[cfg(test)]
mod tests {
    use super::Cloud;

    #[test]
    fn a_store_that_is_not_included_is_named_with_its_feature() {
        let error = Cloud::S3.not_built();
        assert_eq!(error.message(), "this build does not support S3");
        assert!(error.hint().unwrap().contains("--features s3"));
    }
}
