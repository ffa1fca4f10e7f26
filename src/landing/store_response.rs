//! Classifies the errors of object stores.

use object_store::Error as StoreError;

/// Whether a request failed without a response from the store.
#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
pub(super) fn is_transport(error: &StoreError) -> bool {
    chain(error).any(|e| e.is::<object_store::client::HttpError>())
}

/// Whether a request failed without a response from the store.
#[cfg(not(any(feature = "s3", feature = "gcs", feature = "azure")))]
pub(super) fn is_transport(_: &StoreError) -> bool {
    false
}

/// An error and its causes.
pub(super) fn chain<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |e| e.source())
}

pub(super) fn innermost(error: &StoreError) -> String {
    chain(error)
        .last()
        .map_or_else(String::new, ToString::to_string)
}

/// The code in a store's response: `<Code>NoSuchBucket</Code>`.
pub(super) fn code(error: &StoreError) -> Option<String> {
    let text = innermost(error);
    let code = text.split_once("<Code>")?.1.split_once("</Code>")?.0;
    let plain = code.len() < 64 && code.bytes().all(|b| b.is_ascii_alphanumeric());
    plain.then(|| code.to_owned())
}

/// Whether the store denied access. For listings the client reports only the status.
pub(super) fn is_refusal(cause: &StoreError) -> bool {
    matches!(
        cause,
        StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. }
    ) || status(cause).is_some_and(|status| status.starts_with("401") || status.starts_with("403"))
}

/// Whether the store rejected the credentials themselves, not only this request.
pub(super) fn is_about_credentials(code: &str) -> bool {
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

/// The status of a response: `404 Not Found`.
pub(super) fn status(error: &StoreError) -> Option<String> {
    let text = innermost(error);
    let status = text.split_once("status code: ")?.1;
    Some(status.split(':').next()?.trim().to_owned())
}
