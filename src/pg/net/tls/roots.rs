//! The root certificates that a server's certificate must lead to, from a file or from the system.

use super::pem::{certificates, default_file};
use crate::error::{Error, Result};
use crate::pg::conninfo::resolved::{SslMode, Target};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use std::path::PathBuf;

/// What a server's certificate chain must end in.
#[derive(Debug)]
pub struct Roots {
    pub store: RootCertStore,
    /// The certificates of the file as they are: a server may present one of them itself.
    pub listed: Vec<CertificateDer<'static>>,
}

/// The root certificates of a target; `None` when any certificate of the server is accepted.
///
/// # Errors
/// They are needed and missing, or named and unusable.
pub fn roots(target: &Target) -> Result<Option<Roots>> {
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
