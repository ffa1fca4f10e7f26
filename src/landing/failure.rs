//! Errors of folders, buckets and files, which name the object and a fix.

use super::cloud::Cloud;
use super::store_response::{
    chain, code, innermost, is_about_credentials, is_bucket_missing, is_refusal, is_transport,
    status,
};
use crate::error::{Error, Kind};
use parquet::errors::ParquetError;
use std::io;

/// `verb` is "write", "read", …; `object` is a URL or path without secrets.
pub(super) fn io_error(verb: &str, object: &str, cause: io::Error) -> Error {
    io_error_of(Kind::Io, verb, object, cause)
}

/// As [`io_error`], for the root itself: missing rights there are a configuration error.
pub(super) fn root_error(verb: &str, root: &str, cause: io::Error) -> Error {
    use io::ErrorKind as E;
    let kind = match cause.kind() {
        E::PermissionDenied | E::ReadOnlyFilesystem => Kind::Config,
        _ => Kind::Io,
    };
    io_error_of(kind, verb, root, cause)
}

fn io_error_of(kind: Kind, verb: &str, object: &str, cause: io::Error) -> Error {
    use io::ErrorKind as E;
    let failed = |why: &str| Error::new(kind, format!("failed to {verb} `{object}`: {why}"));
    let error = match cause.kind() {
        E::StorageFull => failed("the disk is full").with_hint(
            "free some space, or change `landing.url`; partial files have been removed, and the same command continues",
        ),
        E::QuotaExceeded => failed("the disk quota is used up"),
        E::PermissionDenied => failed("permission denied").with_hint(
            "grant the user that runs dayhaul access, or change `landing.url`",
        ),
        E::ReadOnlyFilesystem => failed("the file system is read-only"),
        E::NotADirectory | E::AlreadyExists => failed("there is a file where a folder is needed")
            .with_hint("move that file, or change `landing.url`"),
        E::NotFound => failed("it does not exist"),
        _ => failed(&cause.to_string()),
    };
    error.with_source(cause)
}

/// An error of the encoder or decoder, whose cause may be the disk.
pub(super) fn parquet_error(verb: &str, object: &str, cause: ParquetError) -> Error {
    match cause {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(cause) => io_error(verb, object, *cause),
            Err(inner) => Error::new(Kind::Io, format!("failed to {verb} `{object}`: {inner}")),
        },
        other => Error::new(Kind::Io, format!("failed to {verb} `{object}`")).with_source(other),
    }
}

/// The scope of a request to an object store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestScope {
    /// The root: without access to it, no request can succeed.
    Root,
    /// One object: other objects may be accessible.
    Object,
}

/// An error of an object store. Only the code of its response is quoted, as the rest may repeat key ids and signatures.
pub(super) fn store_error(
    cloud: Cloud,
    scope: RequestScope,
    verb: &str,
    object: &str,
    cause: &object_store::Error,
) -> Error {
    use object_store::Error as E;
    let code = code(cause);
    let suffix = code.as_deref().map_or(String::new(), |c| format!(" ({c})"));
    if code.as_deref().is_some_and(is_bucket_missing) {
        return Error::config(format!(
            "failed to {verb} `{object}`: the bucket does not exist{suffix}"
        ))
        .with_hint("create the bucket, or correct `landing.url`");
    }
    let rejected_login = code.as_deref().is_some_and(is_about_credentials)
        || matches!(cause, E::Unauthenticated { .. });
    match cause {
        _ if is_transport(cause) => unreachable(cloud, verb, object, cause),
        _ if rejected_login || is_refusal(cause) => {
            let kind = if rejected_login || scope == RequestScope::Root {
                Kind::Connect
            } else {
                Kind::Io
            };
            Error::new(
                kind,
                format!("failed to {verb} `{object}`: access denied{suffix}"),
            )
            .with_hint(cloud.credentials())
        }
        E::NotFound { .. } => Error::new(
            Kind::Io,
            format!("failed to {verb} `{object}`: it does not exist{suffix}"),
        ),
        _ => {
            let why = match status(cause) {
                Some(status) => format!("the store responded {status}{suffix}"),
                None => innermost(cause),
            };
            Error::new(Kind::Io, format!("failed to {verb} `{object}`: {why}"))
        }
    }
}

fn unreachable(cloud: Cloud, verb: &str, object: &str, cause: &object_store::Error) -> Error {
    // Without credentials in the environment, the client requests them from the cloud's metadata service at this address.
    let metadata = chain(cause).any(|e| e.to_string().contains("169.254.169.254"));
    if metadata {
        return Error::new(
            Kind::Connect,
            format!(
                "failed to {verb} `{object}`: no credentials are set, and this machine has no role"
            ),
        )
        .with_hint(cloud.credentials());
    }
    Error::new(
        Kind::Connect,
        format!(
            "failed to {verb} `{object}`: the store cannot be reached: {}",
            innermost(cause)
        ),
    )
    .with_transient(true)
}
