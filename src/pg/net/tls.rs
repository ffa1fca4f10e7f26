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

use crate::error::{Error, Kind, Result};
use crate::pg::conninfo::hosts::Host;
use crate::pg::conninfo::resolved::{SslMode, Target, Tls, TlsVersion};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_postgres_rustls::MakeRustlsConnect;

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

/// What a server's certificate chain must end in.
#[derive(Debug)]
struct Roots {
    store: RootCertStore,
    /// The certificates of the file as they are: a server may present one of them itself.
    listed: Vec<CertificateDer<'static>>,
}

fn roots(target: &Target) -> Result<Option<Roots>> {
    if target.tls.rootcert.as_deref() == Some("system") {
        let found = rustls_native_certs::load_native_certs();
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(found.certs);
        if store.is_empty() {
            return Err(Error::config("this system has no root certificates")
                .with_hint("install its `ca-certificates`, or name a file: `sslrootcert=…`"));
        }
        return Ok(Some(Roots {
            store,
            listed: Vec::new(),
        }));
    }
    let path = match &target.tls.rootcert {
        Some(path) => PathBuf::from(path),
        None => match default_file("root.crt").filter(|p| p.exists()) {
            Some(path) => path,
            None if target.sslmode < SslMode::VerifyCa => return Ok(None),
            None => {
                return Err(Error::config("no root certificate is available to verify the server")
                    .with_hint(
                        "name the file with `sslrootcert=…`, or use the system's store: `sslrootcert=system`",
                    ));
            }
        },
    };
    let listed = certificates(&path, "root certificate")?;
    let mut store = RootCertStore::empty();
    for certificate in &listed {
        store.add(certificate.clone()).map_err(|e| {
            Error::config(format!(
                "root certificate in `{}` is not usable: {e}",
                path.display()
            ))
        })?;
    }
    Ok(Some(Roots { store, listed }))
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn client_certificate(target: &Target) -> Result<Option<Identity>> {
    if !target.tls.present_cert {
        return Ok(None);
    }
    let certificate = match &target.tls.cert {
        Some(path) => PathBuf::from(path),
        None => match default_file("postgresql.crt").filter(|p| p.exists()) {
            Some(path) => path,
            None => return Ok(None),
        },
    };
    let chain = certificates(&certificate, "client certificate")?;
    let key = match &target.tls.key {
        Some(path) => PathBuf::from(path),
        None => default_file("postgresql.key").unwrap_or_else(|| PathBuf::from("postgresql.key")),
    };
    check_key_file(&key)?;
    let private = PrivateKeyDer::from_pem_file(&key).map_err(|e| {
        // An encrypted key is of a kind that the reader does not look for.
        Error::config(format!(
            "client key `{}` cannot be used: {}",
            key.display(),
            pem_reason(&e)
        ))
        .with_hint("`sslkey` names an unencrypted private key in PEM")
    })?;
    Ok(Some((chain, private)))
}

/// As in libpq: no one else may read the key, except that root may share its own with a group.
fn check_key_file(path: &Path) -> Result<()> {
    let shown = path.display();
    let metadata = std::fs::metadata(path).map_err(|e| {
        Error::config(format!("client key `{shown}` cannot be read: {}", e.kind()))
            .with_hint("name it with `sslkey=…`")
    })?;
    let open = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.mode() & open != 0 {
        return Err(
            Error::refused(format!("client key `{shown}` is readable by others"))
                .with_hint(format!("run `chmod 0600 {shown}`")),
        );
    }
    Ok(())
}

fn certificates(path: &Path, what: &str) -> Result<Vec<CertificateDer<'static>>> {
    let shown = path.display();
    let fail = |why: String| Error::config(format!("{what} file `{shown}` cannot be used: {why}"));
    let found: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|e| fail(pem_reason(&e)))?;
    if found.is_empty() {
        return Err(fail("it holds no certificate".into()));
    }
    Ok(found)
}

fn pem_reason(e: &rustls::pki_types::pem::Error) -> String {
    match e {
        rustls::pki_types::pem::Error::Io(e) => e.kind().to_string(),
        rustls::pki_types::pem::Error::NoItemsFound => "it holds none".into(),
        _ => "it is not PEM".into(),
    }
}

fn default_file(name: &str) -> Option<PathBuf> {
    std::env::home_dir().map(|home| home.join(".postgresql").join(name))
}

/// Checks as much as the mode asks for. The handshake's signature is always checked: channel binding depends on it.
#[derive(Debug)]
struct Verifier {
    roots: Option<Roots>,
    check_name: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(roots) = &self.roots else {
            return Ok(ServerCertVerified::assertion());
        };
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let chain = verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &roots.store,
            intermediates,
            now,
            self.provider.signature_verification_algorithms.all,
        );
        match chain {
            // A self-signed certificate that is its own root, as `openssl req -x509` makes it: webpki finds its dates
            // in order first, and then will not have a CA as a server. OpenSSL takes it; it is the very one listed.
            Err(e) if is_ca_as_server(&e) && roots.listed.iter().any(|c| c == end_entity) => {}
            other => other?,
        }
        if self.check_name {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms).map_err(of_handshake)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms).map_err(of_handshake)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// A bad signature of the handshake, told apart from one of the certificate.
const BAD_HANDSHAKE: &str = "bad signature of the handshake";

fn of_handshake(e: rustls::Error) -> rustls::Error {
    match e {
        rustls::Error::InvalidCertificate(CertificateError::BadSignature) => {
            rustls::Error::General(BAD_HANDSHAKE.to_owned())
        }
        other => other,
    }
}

fn is_ca_as_server(e: &rustls::Error) -> bool {
    // rustls does not depend on webpki in its API: the reason is known by its name only.
    matches!(
        e,
        rustls::Error::InvalidCertificate(CertificateError::Other(_))
    ) && format!("{e:?}").contains("CaUsedAsEndEntity")
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pg::Url;
    use std::os::unix::fs::PermissionsExt;

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

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("key");
        std::fs::write(&key, "").unwrap();
        let set =
            |mode| std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        set(0o644);
        let error = check_key_file(&key).unwrap_err();
        assert!(error.hint().unwrap().contains("chmod 0600"));
        set(0o600);
        assert!(check_key_file(&key).is_ok());
    }

    /// A certificate that is its own root, as `openssl req -x509` makes it, valid until the year given.
    fn self_signed(until: i32) -> CertificateDer<'static> {
        let mut params = rcgen::CertificateParams::new(vec!["db.test".to_owned()]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn a_self_signed_certificate_is_believed_when_it_is_the_one_listed() {
        let verify = |listed: &CertificateDer<'static>, shown: &CertificateDer<'static>, name| {
            let mut store = RootCertStore::empty();
            store.add(listed.clone()).unwrap();
            let verifier = Verifier {
                roots: Some(Roots {
                    store,
                    listed: vec![listed.clone()],
                }),
                check_name: true,
                provider: Arc::new(rustls::crypto::ring::default_provider()),
            };
            let name = ServerName::try_from(name).unwrap();
            verifier.verify_server_cert(shown, &[], &name, &[], UnixTime::now())
        };
        let (mine, other, old) = (self_signed(4000), self_signed(4000), self_signed(2001));
        assert!(verify(&mine, &mine, "db.test").is_ok());
        assert!(verify(&mine, &mine, "other.test").is_err());
        assert!(verify(&mine, &other, "db.test").is_err());
        assert!(verify(&old, &old, "db.test").is_err());
    }
}
