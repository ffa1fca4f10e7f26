//! How the fold of one pair ended: its line of the report, and why it failed.

use crate::catalog::Pair;
use crate::engine::report::event::Failure;
use crate::engine::report::fold::{PairFold, Standing};
use crate::error::{Error, Kind};

/// A pair's end, and why it failed or was not tried.
pub struct PairEnd {
    pub fold: PairFold,
    pub failure: Option<Failure>,
}

impl PairEnd {
    /// A pair that has to wait for readers, or has nothing to move, did not fail.
    pub fn without_failure(fold: PairFold) -> PairEnd {
        PairEnd {
            fold,
            failure: None,
        }
    }

    /// A pair that was begun, and ended with an error.
    pub fn failed(pair: &Pair, error: Error) -> PairEnd {
        let standing = if error.kind() == Kind::Interrupted {
            Standing::NotTried
        } else {
            Standing::Failed
        };
        PairEnd {
            fold: untouched(pair, standing),
            failure: Some(failure(pair, error)),
        }
    }
}

/// A pair in which nothing moved.
pub fn untouched(pair: &Pair, standing: Standing) -> PairFold {
    PairFold {
        tenant: pair.tenant.name.clone(),
        template: pair.template.name.clone(),
        standing,
        from_line: pair.fold_line,
        to_line: None,
        years: Vec::new(),
        unsettled: 0,
        left: Vec::new(),
    }
}

pub fn failure(pair: &Pair, error: Error) -> Failure {
    Failure {
        tenant: pair.tenant.name.clone(),
        template: Some(pair.template.name.clone()),
        windows: Vec::new(),
        not_tried: matches!(error.kind(), Kind::Locked | Kind::Interrupted),
        error,
    }
}
