//! Why a connection ended, and on which side: whoever waits for an answer learns only that there is none.

use crate::error::{Error, Kind, Side};
use crate::pg::net::server_errors::{Heard, ServerError};
use crate::pg::sqlstate;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

pub type End = Option<Option<Arc<tokio_postgres::Error>>>;

#[derive(Clone)]
pub struct Ending {
    ended: watch::Receiver<End>,
    heard: Arc<Heard>,
    side: Option<Side>,
}

impl Ending {
    pub fn new(ended: watch::Receiver<End>, heard: Arc<Heard>) -> Ending {
        Ending {
            ended,
            heard,
            side: None,
        }
    }

    pub fn set_side(&mut self, side: Side) {
        self.side = Some(side);
    }

    /// The error with its side, if the session has one.
    pub fn on_side(&self, error: Error) -> Error {
        match self.side {
            Some(side) => sqlstate::on_side(error, side),
            None => error,
        }
    }

    /// Waits until the connection has ended.
    pub async fn wait(mut self) {
        // Without an answer nobody carries the connection's bytes any longer.
        let _ = self.ended.wait_for(Option::is_some).await;
    }

    /// The driver's error in our words.
    pub async fn explain(&self, e: tokio_postgres::Error) -> Error {
        self.on_side(self.clone().reason(e).await)
    }

    async fn reason(mut self, e: tokio_postgres::Error) -> Error {
        if !e.is_closed() {
            return sqlstate::error(&e);
        }
        if self.heard.is_silent() {
            return Error::new(
                Kind::Connect,
                "the server answers nothing any more, on a new connection either",
            )
            .with_transient(true);
        }
        if let Some(said) = self.heard.last().filter(ServerError::is_last_word) {
            return sqlstate::server_error(&said, Kind::Connect);
        }
        // The task that carries the bytes ends right after it let its waiters go.
        let ended = self.ended.wait_for(Option::is_some);
        if let Ok(Ok(end)) = tokio::time::timeout(Duration::from_secs(1), ended).await
            && let Some(Some(reason)) = end.as_ref()
        {
            return sqlstate::error(reason);
        }
        sqlstate::error(&e)
    }

    /// The server's errors about what is being sent to it.
    pub fn heard(&self) -> &Heard {
        &self.heard
    }
}
