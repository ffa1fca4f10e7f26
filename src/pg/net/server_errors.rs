//! What the server sent on a connection apart from the answers to statements.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio_postgres::error::DbError;

/// The fields of an ErrorResponse that we use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerError {
    pub severity: String,
    pub code: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    pub context: Option<String>,
    pub schema: Option<String>,
    pub table: Option<String>,
    pub column: Option<String>,
    pub constraint: Option<String>,
    /// The function of the server that reported it; a pooler names none.
    pub routine: Option<String>,
}

impl ServerError {
    pub fn read(body: &[u8]) -> ServerError {
        let mut error = ServerError::default();
        for field in body.split(|b| *b == 0) {
            let Some((kind, text)) = field.split_first() else {
                continue;
            };
            let text = String::from_utf8_lossy(text).into_owned();
            match kind {
                b'V' => error.severity = text,
                b'C' => error.code = text,
                b'M' => error.message = text,
                b'D' => error.detail = Some(text),
                b'H' => error.hint = Some(text),
                b'W' => error.context = Some(text),
                b's' => error.schema = Some(text),
                b't' => error.table = Some(text),
                b'c' => error.column = Some(text),
                b'n' => error.constraint = Some(text),
                b'R' => error.routine = Some(text),
                _ => {}
            }
        }
        error
    }

    /// Whether the server ends the connection after saying this.
    pub fn is_last_word(&self) -> bool {
        self.severity == "FATAL" || self.severity == "PANIC"
    }
}

impl From<&DbError> for ServerError {
    fn from(db: &DbError) -> ServerError {
        let own = |text: Option<&str>| text.map(str::to_owned);
        ServerError {
            severity: db.severity().to_owned(),
            code: db.code().code().to_owned(),
            message: db.message().to_owned(),
            detail: own(db.detail()),
            hint: own(db.hint()),
            context: own(db.where_()),
            schema: own(db.schema()),
            table: own(db.table()),
            column: own(db.column()),
            constraint: own(db.constraint()),
            routine: own(db.routine()),
        }
    }
}

/// What the server sent on a connection.
#[derive(Debug, Default)]
pub struct Heard {
    /// Read on each slice of a COPY IN: no lock until there is something.
    any: AtomicBool,
    last: Mutex<Option<ServerError>>,
    /// The server sends the rows of a COPY OUT.
    copies: AtomicBool,
    /// The server answers nothing any more.
    silent: AtomicBool,
}

impl Heard {
    /// The last error since [`Heard::forget`].
    pub fn last(&self) -> Option<ServerError> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        self.last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub fn forget(&self) {
        self.any.store(false, Ordering::Release);
    }

    /// Whether the server is sending the rows of a COPY OUT.
    pub fn copies(&self) -> bool {
        self.copies.load(Ordering::Relaxed)
    }

    pub fn set_copies(&self, copies: bool) {
        self.copies.store(copies, Ordering::Relaxed);
    }

    /// Whether the server was found to answer nothing any more.
    pub fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }

    pub fn found_silent(&self) {
        self.silent.store(true, Ordering::Relaxed);
    }

    pub fn note(&self, error: ServerError) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        self.any.store(true, Ordering::Release);
    }
}
