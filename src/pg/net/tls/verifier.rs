//! Which certificate of a server is accepted.

use super::roots::Roots;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use std::sync::Arc;

/// Checks as much as the mode asks for. The handshake's signature is always checked: channel binding depends on it.
#[derive(Debug)]
pub struct Verifier {
    pub roots: Option<Roots>,
    pub check_name: bool,
    pub provider: Arc<CryptoProvider>,
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
pub const BAD_HANDSHAKE: &str = "bad signature of the handshake";

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

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::RootCertStore;

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
