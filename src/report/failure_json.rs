//! Failures in the JSON of every command that reports them.

use crate::catalog::runs::selected::inclusive;
use crate::engine::report::event::Failure;
use crate::report::failure::{merged, why};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(super) struct FailureJson<'a> {
    tenant: &'a str,
    template: Option<&'a str>,
    /// Inclusive runs of days.
    days: Vec<[String; 2]>,
    not_tried: bool,
    error: String,
    sqlstate: Option<&'a str>,
    hint: Option<&'a str>,
}

pub(super) fn failure(failure: &Failure) -> FailureJson<'_> {
    FailureJson {
        tenant: failure.tenant.as_str(),
        template: failure.template.as_ref().map(AsRef::as_ref),
        days: inclusive(&merged(&failure.windows)),
        not_tried: failure.not_tried,
        error: why(&failure.error),
        sqlstate: failure.error.sqlstate(),
        hint: failure.error.hint(),
    }
}
