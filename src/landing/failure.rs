//! What folders, buckets and files answer, as errors that name the object and what to do.

use crate::error::{Error, Kind};
use parquet::errors::ParquetError;
use std::io;

/// `doing` is "writing", "reading", …; `object` a URL or path without secrets.
pub(super) fn io_error(doing: &str, object: &str, cause: io::Error) -> Error {
    use io::ErrorKind as E;
    let failed = |why: &str| Error::new(Kind::Io, format!("{doing} `{object}` failed: {why}"));
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
