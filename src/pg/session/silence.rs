//! A server that answers nothing at all any more.
//!
//! A statement may take hours, and says nothing meanwhile: waiting alone does not tell a server that computes from one that is
//! frozen, or is cut off by a proxy that still acknowledges every byte. So a new connection asks from time to time whether
//! anybody is there. PostgreSQL's postmaster, and a pooler, answer that before any login.

use super::route::Route;
use crate::pg::net::socket::Socket;
use std::future::Future;
use std::time::Duration;

/// How long an answer is waited for before anybody asks.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the new connection and its answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// The server is gone after so many questions in a row without an answer.
const QUESTIONS: u32 = 3;

impl Route {
    /// Whether a new connection gets an answer.
    async fn answers(&self) -> bool {
        let asked = async {
            let mut socket = Socket::connect(&self.address, &self.target).await?;
            socket.ask_for_tls().await
        };
        matches!(tokio::time::timeout(ANSWER, asked).await, Ok(Ok(_)))
    }
}

/// Waits for `answer`; `None` when the server was found to answer nothing any more.
pub async fn unless_silent<T>(route: &Route, answer: impl Future<Output = T>) -> Option<T> {
    let mut answer = std::pin::pin!(answer);
    let mut unanswered = 0;
    loop {
        let pause = if unanswered == 0 { PATIENCE } else { ANSWER };
        if let Ok(answer) = tokio::time::timeout(pause, &mut answer).await {
            return Some(answer);
        }
        tokio::select! {
            answer = &mut answer => return Some(answer),
            answers = route.answers() => {
                unanswered = if answers { 0 } else { unanswered + 1 };
            }
        }
        if unanswered == QUESTIONS {
            return None;
        }
    }
}
