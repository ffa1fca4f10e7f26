//! A session's place at its server: given back when the connection has ended. A session at rest ends when somebody waits
//! for its place.

use crate::pg::places::Place;
use tokio::sync::watch;
use tokio::task::AbortHandle;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Busy,
    /// Between two transactions, and nobody reads from it.
    AtRest,
    Ended,
}

/// What the session tells the task that keeps its place.
pub struct Keeper(watch::Sender<Use>);

impl Default for Keeper {
    fn default() -> Keeper {
        Keeper(watch::Sender::new(Use::Busy))
    }
}

impl Keeper {
    /// Keeps the place for as long as the connection lasts.
    pub fn keep(
        &self,
        place: Place,
        ended: impl Future<Output = ()> + Send + 'static,
        connection: AbortHandle,
    ) {
        let used = self.0.clone();
        tokio::spawn(async move {
            let mut changes = used.subscribe();
            tokio::select! {
                () = ended => return drop(place),
                () = async {
                    loop {
                        let _ = changes.wait_for(|now| *now == Use::AtRest).await;
                        place.is_wanted().await;
                        if change(&used, Use::AtRest, Use::Ended) {
                            break;
                        }
                    }
                } => {}
            }
            connection.abort();
            // The connection's socket is closed before its place is free.
            while !connection.is_finished() {
                tokio::task::yield_now().await;
            }
            drop(place);
        });
    }

    pub fn rest(&self) {
        change(&self.0, Use::Busy, Use::AtRest);
    }

    /// Whether it can be used.
    pub fn resume(&self) -> bool {
        change(&self.0, Use::AtRest, Use::Busy) || *self.0.borrow() == Use::Busy
    }
}

fn change(used: &watch::Sender<Use>, from: Use, to: Use) -> bool {
    used.send_if_modified(|now| {
        let changes = *now == from;
        if changes {
            *now = to;
        }
        changes
    })
}
