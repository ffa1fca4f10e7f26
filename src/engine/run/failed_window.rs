//! A window that failed for good: who is to blame, who is told, and who is not tried after it.

use super::pair::Source;
use super::worker::Worker;
use crate::catalog::ledger::units;
use crate::engine::report::event::{Event, Outcome};
use crate::engine::report::window_outcome::{Fault, Side};
use crate::engine::schedule::queue::PairIndex;
use crate::engine::window::encoding_probe;
use crate::error::{Error, Kind};
use crate::unit::Window;
use std::sync::Arc;

impl Worker {
    /// Adds to an error about the encoding of a text the column that holds it.
    pub async fn blame(&mut self, pair: PairIndex, window: Window, fault: Fault) -> Fault {
        if fault.side != Side::Source || !encoding_probe::is_about_encoding(&fault.error) {
            return fault;
        }
        let shared = Arc::clone(&self.shared);
        let ready = &shared.pairs[pair];
        let load = &shared.settings.load;
        let search = async {
            let query = ready.bind(window)?;
            self.connect(pair).await?;
            let (Some(session), _) = self.sessions.opened() else {
                return Ok(None);
            };
            let timeout = load.statement_timeout;
            encoding_probe::column_not_in_utf8(session, &ready.template, &query, timeout)
                .await
                .map_err(Fault::from)
        };
        // Bounded like a COPY that moves nothing: the unit has failed, and others wait for this worker.
        match tokio::time::timeout(load.stall_timeout, search).await {
            Ok(Ok(Some(column))) => Fault {
                error: fault.error.at(format!("column `{column}`")),
                ..fault
            },
            _ => {
                self.end_sessions().await;
                fault
            }
        }
    }

    /// Tells a file that cannot be made from a root that takes none at all: then nothing can be landed for anybody.
    pub async fn look_at_root(&self, fault: Fault) -> Fault {
        let Some(landing) = &self.shared.landing else {
            return fault;
        };
        if fault.side != Side::Landing || fault.error.kind() != Kind::Io {
            return fault;
        }
        match landing.check_writable().await {
            Ok(()) => fault,
            Err(root) => {
                let error = Error::new(Kind::Connect, root.to_string()).at("landing");
                Fault {
                    side: Side::Landing,
                    error: match root.hint() {
                        Some(hint) => error.with_hint(hint),
                        None => error,
                    },
                }
            }
        }
    }

    /// The window failed for good: ledger, report, circuit.
    pub async fn fail(&mut self, pair: PairIndex, window: Window, tries: u32, fault: Fault) {
        let shared = Arc::clone(&self.shared);
        let entry = shared.entry(pair, i32::try_from(tries).unwrap_or(i32::MAX));
        let message = fault.error.to_string();
        let unreachable = fault.error.kind() == Kind::Connect;
        if fault.side != Side::Warehouse || !unreachable {
            let recorded = match self.warehouse().await {
                Ok(session) => units::fail(session, &entry, window.days(), &message).await,
                Err(fault) => Err(fault.error),
            };
            if let Err(error) = recorded {
                shared.observer.event(&Event::Warning(format!(
                    "the failure of {window} could not be written into the ledger: {error}"
                )));
            }
        }
        shared.report_days(pair, window.days(), Outcome::Failed, tries);
        let side = fault.side;
        shared.add_failure(pair, vec![window], fault.error, false);
        let dropped = {
            let mut queue = shared.queue();
            match side {
                // Without it nothing can be done for anybody.
                Side::Warehouse | Side::Landing if unreachable => {
                    queue.failed(pair, window, false);
                    queue.open_for_all()
                }
                // A bad file says nothing about the next one.
                Side::Source if matches!(shared.pairs[pair].source, Source::Files(_)) => {
                    queue.failed_alone(pair, window);
                    Vec::new()
                }
                _ => queue.failed(pair, window, unreachable && side == Side::Source),
            }
        };
        if !dropped.is_empty() {
            let why = format!("not tried after other failures, the last: {message}");
            shared.not_tried(dropped, &why, Kind::Refused);
        }
    }
}
