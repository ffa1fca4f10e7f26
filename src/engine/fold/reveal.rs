//! The last step of a pair's fold: shows readers the copied days, and drops the tables that they replace.

use super::copy::Copied;
use super::outcome::{PairEnd, failure, untouched};
use super::pairs_fold::PairsFold;
use crate::engine::report::fold::{PairFold, Standing};
use crate::error::{Error, Result};
use crate::pg::Session;
use crate::warehouse::{self, Barrier, Left, Place};
use tokio_util::sync::CancellationToken;

/// How the reveal of a pair ended.
struct Revealed {
    standing: Standing,
    /// Hidden tables that could not be dropped yet.
    swept: Result<Vec<Left>>,
}

impl Revealed {
    fn not_yet(why: String) -> Revealed {
        Revealed {
            standing: Standing::NotYet(why),
            swept: Ok(Vec::new()),
        }
    }
}

impl<'a> PairsFold<'a> {
    /// Reveals and sweeps, if the barrier was passed.
    pub async fn reveal_after(
        self,
        barrier: &Result<Barrier>,
        mut copied: Copied<'a>,
        stop: &CancellationToken,
    ) -> PairEnd {
        let pair = copied.pair;
        let result = match barrier {
            Ok(Barrier::Passed) => {
                let session = copied.session.take().map(|session| *session);
                let reveal = async |session: &Session| self.reveal(session, &mut copied).await;
                let revealed = self.in_session(session, stop, reveal).await;
                revealed.map(|(revealed, _)| revealed)
            }
            Ok(Barrier::NotYet) => Ok(Revealed::not_yet(self.readers())),
            Ok(Barrier::Interrupted) => Err(Error::interrupted()),
            Err(error) => Err(Error::new(error.kind(), error.to_string()).at("barrier")),
        };
        let (standing, left, failure) = match result {
            Ok(Revealed { standing, swept }) => match swept {
                Ok(left) => (standing, left, None),
                // Readers see the days in their new tables; the next run drops the hidden ones.
                Err(error) => (standing, Vec::new(), Some(failure(pair, error))),
            },
            Err(error) => {
                let end = PairEnd::failed(pair, error);
                (end.fold.standing, Vec::new(), end.failure)
            }
        };
        let fold = PairFold {
            from_line: Some(copied.moving.from_line),
            to_line: Some(copied.moving.to_line),
            years: copied.years,
            unsettled: copied.unsettled,
            left: left.into_iter().map(|left| left.relation).collect(),
            ..untouched(pair, standing)
        };
        PairEnd { fold, failure }
    }

    /// Reveals; when days moved, sweeps and runs ANALYZE.
    async fn reveal(self, session: &Session, copied: &mut Copied<'_>) -> Result<Revealed> {
        let (at, shape) = (Place::of(copied.pair), &mut copied.shape);
        self.stage(copied.pair, "revealing");
        let revealed = warehouse::reveal(session, at, shape, &copied.moving, self.folding()).await;
        match revealed {
            // Readers held the view until the timeout.
            Err(error) if error.sqlstate() == Some("55P03") => {
                return Ok(Revealed::not_yet(self.readers()));
            }
            other => other?,
        }
        let grown = if copied.moving.is_unfold() {
            &[]
        } else {
            &copied.years[..]
        };
        let (swept, analyzed) = tokio::join!(
            warehouse::sweep(session, at, shape, self.folding()),
            warehouse::analyze_grown(at, grown, self.folding()),
        );
        self.warn_of_left(swept.as_deref().unwrap_or_default());
        Ok(Revealed {
            standing: Standing::Moved,
            swept: swept.and_then(|left| analyzed.map(|()| left)),
        })
    }
}
