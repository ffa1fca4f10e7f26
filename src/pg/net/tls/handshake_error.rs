//! What to say when a server has no TLS, or a handshake fails: the cause, and the setting that fixes it.

use super::verifier::BAD_HANDSHAKE;
use crate::error::{Error, Kind};
use crate::pg::conninfo::hosts::Host;
use crate::pg::conninfo::resolved::{SslMode, Target};
use rustls::CertificateError;

/// The server was asked for TLS and has none.
pub fn no_tls(target: &Target) -> Error {
    let mode = match target.sslmode {
        SslMode::VerifyFull => "verify-full",
        SslMode::VerifyCa => "verify-ca",
        _ => "require",
    };
    Error::new(
        Kind::Connect,
        format!("the server does not support TLS, and `sslmode={mode}` requires it"),
    )
    .with_hint(
        "turn it on at the server (`ssl = on`), or, in a trusted network, write `sslmode=disable`",
    )
}

/// Turns a failed handshake into an error that names the setting that fixes it. `None` if it was no handshake.
pub fn handshake_error(e: &tokio_postgres::Error, host: &Host) -> Option<Error> {
    if e.to_string() != "error performing TLS handshake" {
        return None;
    }
    let io = std::error::Error::source(e).and_then(|c| c.downcast_ref::<std::io::Error>());
    let tls = io
        .and_then(std::io::Error::get_ref)
        .and_then(|c| c.downcast_ref::<rustls::Error>());
    Some(match (tls, io) {
        (Some(tls), _) => explain(tls, host),
        (None, Some(io)) => Error::new(Kind::Connect, format!("TLS: {io}")).with_transient(true),
        (None, None) => Error::new(Kind::Connect, "TLS: the handshake failed"),
    })
}

fn explain(e: &rustls::Error, host: &Host) -> Error {
    use rustls::Error::{AlertReceived, InvalidCertificate};
    let name = &host.name;
    let (message, hint) = match e {
        InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => {
            let names = match e {
                InvalidCertificate(CertificateError::NotValidForNameContext {
                    presented, ..
                }) if !presented.is_empty() => {
                    format!("it names {}", presented.join(", "))
                }
                _ => "it has no subjectAltName".to_owned(),
            };
            (
                format!("the server's certificate is not for `{name}`: {names}"),
                "connect by a name of the certificate, or write `sslmode=verify-ca` to check only who signed it",
            )
        }
        InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => (
            "the server's certificate is not signed by a trusted authority".to_owned(),
            "name the file of the server's root certificate: `sslrootcert=…` (`sslrootcert=system` for a public one)",
        ),
        InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            (
                "the server's certificate has expired".to_owned(),
                "renew it at the server",
            )
        }
        InvalidCertificate(other) if format!("{other:?}").contains("UnsupportedCertVersion") => (
            "the server's certificate is of X.509 version 1".to_owned(),
            "issue it as version 3, with a subjectAltName (`openssl x509 -extfile …`)",
        ),
        rustls::Error::General(why) if why == BAD_HANDSHAKE => (
            "the server's signature cannot be verified with the key of its certificate".to_owned(),
            "an RSA key needs 2048 bits or more: issue the certificate with a longer one",
        ),
        AlertReceived(alert) => (
            format!("the server ended the TLS handshake: {alert:?}"),
            "it may want a client certificate: `sslcert=…` and `sslkey=…`",
        ),
        other => (
            format!("TLS: {other}"),
            "check `sslmode` and `sslrootcert`; the server must speak TLS 1.2 or newer",
        ),
    };
    Error::new(Kind::Connect, message).with_hint(hint)
}
