//! One attempt to log in at one address: plain, encrypted, or one after the other, depending on `sslmode`.

use crate::error::{Error, Kind, Result};
use crate::pg::conninfo::hosts::Host;
use crate::pg::conninfo::passfile;
use crate::pg::conninfo::resolved::{SslMode, Target};
use crate::pg::net::message_tap::{Listening, Wire};
use crate::pg::net::server_errors::Heard;
use crate::pg::net::socket::{Address, Socket};
use crate::pg::net::tls;
use crate::pg::session::Session;
use crate::pg::session::route::Route;
use crate::pg::sqlstate;
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use tokio_postgres::config::SslNegotiation;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Why an attempt failed, as far as `sslmode` cares.
struct Failure {
    error: Error,
    /// With TLS instead of without, or without instead of with, it may go better.
    other_way: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure {
            error,
            other_way: false,
        }
    }
}

/// One address of one host.
pub struct Attempt<'a> {
    pub target: &'a Arc<Target>,
    pub host: &'a Host,
    pub address: Address,
    pub password: Option<&'a SecretString>,
}

impl Attempt<'_> {
    /// The ladder of `sslmode`. On a Unix socket there is no TLS, and libpq ignores the mode.
    pub async fn open(&self) -> Result<Session> {
        let mode = if matches!(self.address, Address::Unix(_)) {
            SslMode::Disable
        } else {
            self.target.sslmode
        };
        let first = match mode {
            SslMode::Disable | SslMode::Allow => self.plain(self.socket().await?).await,
            _ => self.encrypted(mode).await,
        };
        let failure = match first {
            Ok(session) => return Ok(session),
            Err(failure) if failure.other_way => failure,
            Err(failure) => return Err(failure.error),
        };
        let second = match mode {
            SslMode::Allow => self.encrypted(mode).await,
            SslMode::Prefer => self.plain(self.socket().await?).await,
            _ => return Err(failure.error),
        };
        // Both ways failed: the first reason is the one that the mode's first choice met.
        second.map_err(|_| failure.error)
    }

    async fn socket(&self) -> Result<Socket> {
        Socket::connect(&self.address, self.target)
            .await
            .map_err(|e| unreachable_error(&e))
    }

    async fn encrypted(&self, mode: SslMode) -> Result<Session, Failure> {
        let mut maker = tls::connector(self.target)?;
        let mut socket = self.socket().await?;
        if !self.target.tls.direct
            && !socket
                .ask_for_tls()
                .await
                .map_err(|e| unreachable_error(&e))?
        {
            return match mode {
                SslMode::Prefer => self.plain(socket).await.map_err(|f| f.error.into()),
                _ => Err(tls::no_tls(self.target).into()),
            };
        }
        let connect = <MakeRustlsConnect as MakeTlsConnect<Socket>>::make_tls_connect(
            &mut maker,
            &self.host.name,
        )
        .unwrap_or_else(|never| match never {});
        let mut config = self.config();
        // The question has been asked: straight to the handshake.
        config.ssl_mode(tokio_postgres::config::SslMode::Require);
        config.ssl_negotiation(SslNegotiation::Direct);
        let heard = Arc::new(Heard::default());
        socket.gather(heard.clone());
        let connect = Listening {
            connect,
            heard: heard.clone(),
        };
        match config.connect_raw(socket, connect).await {
            Ok((client, connection)) => {
                let route = self.route(Some(maker));
                Ok(Session::start(client, connection, heard, route))
            }
            Err(e) => Err(self.failure(&e)),
        }
    }

    async fn plain(&self, mut socket: Socket) -> Result<Session, Failure> {
        let mut config = self.config();
        config.ssl_mode(tokio_postgres::config::SslMode::Disable);
        let heard = Arc::new(Heard::default());
        socket.gather(heard.clone());
        let wire = Wire::new(socket, heard.clone());
        match config.connect_raw(wire, NoTls).await {
            Ok((client, connection)) => {
                let route = self.route(None);
                Ok(Session::start(client, connection, heard, route))
            }
            Err(e) => Err(self.failure(&e)),
        }
    }

    fn config(&self) -> Config {
        let mut config = Config::new();
        config.user(&self.target.user);
        config.dbname(&self.target.dbname);
        config.application_name(self.target.application_name.as_deref().unwrap_or("dayhaul"));
        config.channel_binding(self.target.channel_binding);
        if let Some(password) = self.password {
            config.password(password.expose_secret());
        }
        config
    }

    fn route(&self, tls: Option<MakeRustlsConnect>) -> Route {
        Route {
            target: self.target.clone(),
            host: self.host.clone(),
            address: self.address.clone(),
            tls,
        }
    }

    fn failure(&self, e: &tokio_postgres::Error) -> Failure {
        if let Some(error) = tls::handshake_error(e, self.host) {
            // Only a server that says so has no TLS. Whatever else breaks the handshake must not lead to plain text.
            return error.into();
        }
        if std::error::Error::source(e).is_some_and(|c| c.to_string() == "password missing") {
            return self.no_password().into();
        }
        let code = e.code().map_or("", |c| c.code());
        Failure {
            error: sqlstate::login_error(e),
            // `pg_hba.conf` may accept the other way; PgBouncer reports "SSL required" with 08P01.
            other_way: code.starts_with("28") || code == "08P01",
        }
    }

    fn no_password(&self) -> Error {
        Error::new(Kind::Connect, "the server requires a password, and none is set").with_hint(format!(
            "give a reference (`env:NAME`, `file:PATH`, `cmd:COMMAND`), set `PGPASSWORD`, or add a line to `{}`",
            passfile::shown_path(self.target)
        ))
    }
}

/// Nobody answers there now.
pub fn unreachable_error(e: &std::io::Error) -> Error {
    Error::new(Kind::Connect, format!("cannot reach the server: {e}"))
        .with_transient(true)
        .with_hint(
            "check host and port in the connection URL, and that the server accepts connections from this host",
        )
}
