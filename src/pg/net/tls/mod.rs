//! TLS as libpq does it, on rustls: which certificates are believed for which `sslmode`, and our own.
//!
//! | `sslmode` | chain checked | name checked |
//! |---|---|---|
//! | `allow`, `prefer`, `require` | when a root certificate file exists | no |
//! | `verify-ca` | yes | no |
//! | `verify-full` | yes | yes |
//!
//! Compatibility: a root file that is named but missing is always an error, where libpq would continue unverified below
//! `verify-ca`. The name must stand in the certificate's `subjectAltName`; libpq also takes the common name. There are no
//! revocation lists and no encrypted keys. Certificates of X.509 version 1 and RSA keys below 2048 bits, which OpenSSL may
//! accept, are refused in every mode: a handshake that fails is never followed by plain text, not even under `prefer`.

mod client_certificate;
mod handshake_error;
mod pem;
mod roots;
mod verifier;

pub use handshake_error::{handshake_error, no_tls};

use crate::error::{Error, Kind, Result};
use crate::pg::conninfo::resolved::{SslMode, Target, Tls, TlsVersion};
use client_certificate::client_certificate;
use roots::roots;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, SupportedProtocolVersion};
use std::sync::Arc;
use tokio_postgres_rustls::MakeRustlsConnect;
use verifier::Verifier;

/// Makes the TLS side of connections to this target.
///
/// # Errors
/// A certificate or key that the target names or its mode needs is missing, unreadable, or open to others.
pub fn connector(target: &Target) -> Result<MakeRustlsConnect> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier {
        roots: roots(target)?,
        check_name: target.sslmode == SslMode::VerifyFull,
        provider: provider.clone(),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions(&target.tls))
        .map_err(|e| Error::new(Kind::Bug, format!("no TLS protocol version: {e}")))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match client_certificate(target)? {
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|e| Error::config(format!("client certificate and key do not match: {e}")))?,
        None => builder.with_no_client_auth(),
    };
    if target.tls.direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    config.enable_sni = target.tls.sni;
    Ok(MakeRustlsConnect::new(config))
}

/// From the newest to the oldest.
fn versions(tls: &Tls) -> Vec<&'static SupportedProtocolVersion> {
    [(TlsVersion::V1_3, &TLS13), (TlsVersion::V1_2, &TLS12)]
        .into_iter()
        .filter(|(version, _)| (tls.oldest..=tls.newest).contains(version))
        .map(|(_, version)| version)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pg::Url;

    fn target(text: &str) -> Target {
        Target::resolve(&Url::parse(text).unwrap(), &|_| None).unwrap()
    }

    #[test]
    fn a_named_root_that_is_missing_never_means_unverified() {
        for mode in ["prefer", "require", "verify-full"] {
            let target = target(&format!(
                "host=h sslmode={mode} sslrootcert=/nowhere/root.crt"
            ));
            assert!(connector(&target).is_err(), "{mode}");
        }
    }
}
