//! The password of a connection, read when a session is opened: a token may be valid for a few seconds only.

use super::secret::{SecretRef, Trust};
use crate::error::{Error, Result};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Workers that connect at the same time share one reading: a command may be slow, or its vault may count requests.
const FRESH: Duration = Duration::from_secs(5);

/// Where the password comes from. Clones share the last reading.
#[derive(Debug, Clone, Default)]
pub enum Password {
    /// The connection string, its service, `PGPASSWORD` or the password file.
    #[default]
    OfConnection,
    Value(SecretString),
    Reference(Arc<Reference>),
}

/// A reference that may be followed on this host.
#[derive(Debug)]
pub struct Reference {
    secret: SecretRef,
    /// Who wrote it, for errors.
    place: String,
    last: Mutex<Option<(Instant, SecretString)>>,
}

impl Password {
    /// Follows a reference now, and again for each session.
    ///
    /// # Errors
    /// As [`SecretRef::parse`], [`SecretRef::check`] and [`SecretRef::resolve`].
    pub async fn reference(text: Option<&str>, trust: Trust<'_>, place: &str) -> Result<Password> {
        let Some(text) = text else {
            return Ok(Password::OfConnection);
        };
        let at = |e: Error| e.at(place.to_owned());
        let secret = SecretRef::parse(text).map_err(at)?;
        secret.check(trust).map_err(at)?;
        if secret == SecretRef::Pgpass {
            return Ok(Password::OfConnection);
        }
        let password = Password::Reference(Arc::new(Reference {
            secret,
            place: place.to_owned(),
            last: Mutex::new(None),
        }));
        password.read().await?;
        Ok(password)
    }

    /// Whether both are found in the same way.
    pub fn is_same(&self, other: &Password) -> bool {
        match (self, other) {
            (Password::OfConnection, Password::OfConnection) => true,
            (Password::Value(one), Password::Value(two)) => {
                one.expose_secret() == two.expose_secret()
            }
            (Password::Reference(one), Password::Reference(two)) => one.secret == two.secret,
            _ => false,
        }
    }

    /// # Errors
    /// As [`SecretRef::resolve`].
    pub async fn read(&self) -> Result<Option<SecretString>> {
        match self {
            Password::OfConnection => Ok(None),
            Password::Value(secret) => Ok(Some(secret.clone())),
            Password::Reference(reference) => reference.read().await.map(Some),
        }
    }

    /// Another password than the one that a server rejected: an older reading may have expired.
    ///
    /// # Errors
    /// As [`SecretRef::resolve`].
    pub async fn other_than(&self, rejected: &SecretString) -> Result<Option<SecretString>> {
        let Password::Reference(reference) = self else {
            return Ok(None);
        };
        let is_rejected =
            |secret: &SecretString| secret.expose_secret() == rejected.expose_secret();
        reference.forget(is_rejected).await;
        let secret = reference.read().await?;
        Ok((!is_rejected(&secret)).then_some(secret))
    }
}

impl Reference {
    async fn read(&self) -> Result<SecretString> {
        let mut last = self.last.lock().await;
        if let Some((at, secret)) = &*last
            && at.elapsed() < FRESH
        {
            return Ok(secret.clone());
        }
        let secret = self
            .secret
            .resolve()
            .await
            .map_err(|e| e.at(self.place.clone()))?;
        // The time of the end: a slow command's token counts from when it was printed.
        *last = Some((Instant::now(), secret.clone()));
        Ok(secret)
    }

    async fn forget(&self, matches: impl Fn(&SecretString) -> bool) {
        let mut last = self.last.lock().await;
        if last.as_ref().is_some_and(|(_, secret)| matches(secret)) {
            *last = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(secret: Option<SecretString>) -> Option<String> {
        secret.map(|s| s.expose_secret().to_owned())
    }

    #[tokio::test]
    async fn a_rejected_password_is_read_again_and_an_accepted_one_is_shared() {
        let dir = tempfile::tempdir().unwrap();
        let count = dir.path().join("count");
        let command = format!("cmd:echo x >> {0}; wc -l < {0}", count.display());
        let password = Password::reference(Some(&command), Trust::Local, "here")
            .await
            .unwrap();
        let clone = password.clone();
        assert_eq!(shown(clone.read().await.unwrap()).as_deref(), Some("1"));
        let first = password.read().await.unwrap().unwrap();
        let second = password.other_than(&first).await.unwrap().unwrap();
        assert_eq!(second.expose_secret(), "2");
        // Another worker was rejected with the first one, too: it takes what is there.
        assert_eq!(
            shown(clone.other_than(&first).await.unwrap()).as_deref(),
            Some("2")
        );
    }

    #[tokio::test]
    async fn a_password_that_does_not_change_is_rejected_once() {
        let password = Password::reference(Some("cmd:echo hunter2"), Trust::Local, "here")
            .await
            .unwrap();
        let only = password.read().await.unwrap().unwrap();
        assert!(password.other_than(&only).await.unwrap().is_none());
        let none = Password::OfConnection;
        assert!(none.read().await.unwrap().is_none());
        assert!(none.other_than(&only).await.unwrap().is_none());
    }
}
