//! Views that do not show what they should, as JSON.

use crate::warehouse::{OddView, WrongView};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct OddViewJson<'a> {
    /// `schema.name`.
    view: &'a str,
    /// Null: the public view.
    tenant: Option<&'a str>,
    template: &'a str,
    /// `missing`, `incomplete`, `changed` or `not_a_view`.
    wrong: &'static str,
    /// What an incomplete view does not show.
    lacks: &'a [String],
}

pub fn odd_views(views: &[OddView]) -> Vec<OddViewJson<'_>> {
    let views = views.iter().map(|odd| OddViewJson {
        view: &odd.view,
        tenant: odd.tenant.as_ref().map(|tenant| tenant.as_str()),
        template: odd.template.as_str(),
        wrong: odd.wrong.as_str(),
        lacks: match &odd.wrong {
            WrongView::Lacks(relations) => relations,
            _ => &[],
        },
    });
    views.collect()
}
