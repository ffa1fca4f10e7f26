//! What folders, buckets and files answer, as errors that name the object and what to do.

use super::cloud::{Cloud, is_transport};
use crate::error::{Error, Kind};
use parquet::errors::ParquetError;
use std::io;

/// `doing` is "writing", "reading", …; `object` a URL or path without secrets.
pub(super) fn io_error(doing: &str, object: &str, cause: io::Error) -> Error {
    io_error_of(Kind::Io, doing, object, cause)
}

/// As [`io_error`], of the root itself: a folder that this user may not use is wrongly named, or wrongly made.
pub(super) fn root_error(doing: &str, root: &str, cause: io::Error) -> Error {
    use io::ErrorKind as E;
    let kind = match cause.kind() {
        E::PermissionDenied | E::ReadOnlyFilesystem => Kind::Config,
        _ => Kind::Io,
    };
    io_error_of(kind, doing, root, cause)
}

fn io_error_of(kind: Kind, doing: &str, object: &str, cause: io::Error) -> Error {
    use io::ErrorKind as E;
    let failed = |why: &str| Error::new(kind, format!("{doing} `{object}` failed: {why}"));
    let error = match cause.kind() {
        E::StorageFull => failed("the disk is full").with_hint(
            "make room, or point `landing.url` elsewhere; nothing half written is left, and the same command goes on",
        ),
        E::QuotaExceeded => failed("the disk quota is used up"),
        E::PermissionDenied => failed("this user may not").with_hint(
            "give the user that runs dayhaul the right to write there, or point `landing.url` elsewhere",
        ),
        E::ReadOnlyFilesystem => failed("the file system is read only"),
        E::NotADirectory | E::AlreadyExists => failed("a file stands where a folder should be")
            .with_hint("move that file away, or point `landing.url` elsewhere"),
        E::NotFound => failed("it is not there"),
        _ => failed(&cause.to_string()),
    };
    error.with_source(cause)
}

/// Of an encoder or decoder; what lies below it may be the disk.
pub(super) fn parquet_error(doing: &str, object: &str, cause: ParquetError) -> Error {
    match cause {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(cause) => io_error(doing, object, *cause),
            Err(inner) => Error::new(Kind::Io, format!("{doing} `{object}` failed: {inner}")),
        },
        other => Error::new(Kind::Io, format!("{doing} `{object}` failed")).with_source(other),
    }
}

/// What a request to an object store was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// The whole root: who is not let in there can do nothing at all.
    Root,
    /// One object of it: of another the store may say something else.
    Object,
}

/// Of an object store. Its answers are not quoted but for their code: they repeat key ids and signatures.
pub(super) fn store_error(
    cloud: Cloud,
    about: About,
    doing: &str,
    object: &str,
    cause: &object_store::Error,
) -> Error {
    use object_store::Error as E;
    let code = code(cause);
    let said = code.as_deref().map_or(String::new(), |c| format!(" ({c})"));
    if code.as_deref().is_some_and(is_bucket_missing) {
        return Error::config(format!(
            "{doing} `{object}` failed: there is no such bucket{said}"
        ))
        .with_hint("make the bucket, or correct `landing.url`");
    }
    let unknown = code.as_deref().is_some_and(is_about_credentials)
        || matches!(cause, E::Unauthenticated { .. });
    match cause {
        _ if is_transport(cause) => unreached(cloud, doing, object, cause),
        _ if unknown || is_refusal(cause) => {
            let kind = if unknown || about == About::Root {
                Kind::Connect
            } else {
                Kind::Io
            };
            Error::new(
                kind,
                format!("{doing} `{object}` failed: the store does not let us{said}"),
            )
            .with_hint(cloud.credentials())
        }
        E::NotFound { .. } => Error::new(
            Kind::Io,
            format!("{doing} `{object}` failed: it is not there{said}"),
        ),
        _ => {
            let why = match status(cause) {
                Some(status) => format!("the store answered {status}{said}"),
                None => innermost(cause),
            };
            Error::new(Kind::Io, format!("{doing} `{object}` failed: {why}"))
        }
    }
}

fn unreached(cloud: Cloud, doing: &str, object: &str, cause: &object_store::Error) -> Error {
    // Without credentials in the environment the client asks the machine it runs on, at this address.
    let metadata = chain(cause).any(|e| e.to_string().contains("169.254.169.254"));
    if metadata {
        return Error::new(
            Kind::Connect,
            format!(
                "{doing} `{object}` failed: no credentials are set, and this machine has no role"
            ),
        )
        .with_hint(cloud.credentials());
    }
    Error::new(
        Kind::Connect,
        format!(
            "{doing} `{object}` failed: the store cannot be reached: {}",
            innermost(cause)
        ),
    )
    .with_transient(true)
}

/// An error and its causes.
pub(super) fn chain<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |e| e.source())
}

pub(super) fn innermost(error: &object_store::Error) -> String {
    chain(error)
        .last()
        .map_or_else(String::new, ToString::to_string)
}

/// The code in a store's answer: `<Code>NoSuchBucket</Code>`.
pub(super) fn code(error: &object_store::Error) -> Option<String> {
    let text = innermost(error);
    let code = text.split_once("<Code>")?.1.split_once("</Code>")?.0;
    let plain = code.len() < 64 && code.bytes().all(|b| b.is_ascii_alphanumeric());
    plain.then(|| code.to_owned())
}

/// Whether the store says that we may not; a listing's answer comes without a kind.
fn is_refusal(cause: &object_store::Error) -> bool {
    use object_store::Error as E;
    matches!(
        cause,
        E::PermissionDenied { .. } | E::Unauthenticated { .. }
    ) || status(cause).is_some_and(|status| status.starts_with("401") || status.starts_with("403"))
}

/// Whether a refusal is about who we are, and not about what we may.
fn is_about_credentials(code: &str) -> bool {
    [
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "InvalidToken",
        "ExpiredToken",
        "AuthenticationFailed",
    ]
    .contains(&code)
}

pub(super) fn is_bucket_missing(code: &str) -> bool {
    ["NoSuchBucket", "ContainerNotFound"].contains(&code)
}

/// `404 Not Found`
fn status(error: &object_store::Error) -> Option<String> {
    let text = innermost(error);
    let status = text.split_once("status code: ")?.1;
    Some(status.split(':').next()?.trim().to_owned())
}
