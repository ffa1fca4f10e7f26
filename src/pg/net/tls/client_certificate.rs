//! The certificate and the private key that we present to a server that asks for one.

use super::pem::{certificates, default_file, pem_reason};
use crate::error::{Error, Result};
use crate::pg::conninfo::resolved::Target;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A certificate chain and the key of its first certificate.
pub type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// `None` when the target has none, or is not to present it.
///
/// # Errors
/// A file is missing, unreadable, or open to others.
pub fn client_certificate(target: &Target) -> Result<Option<Identity>> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

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
}
