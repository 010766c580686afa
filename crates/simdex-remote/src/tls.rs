//! Whom to trust on the way to a server: whom this machine trusts, or who a file of the user names.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::error::{Error, Fault, Result};

/// What to do about a server that isn't trusted.
pub(crate) const HINT: &str = "name the certificate to trust: ?sslrootcert=FILE in the URL";

/// Whether a connection was ended because one side doesn't trust the other, and not by the network.
pub(crate) fn is_judgement(error: &std::io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}

/// A configuration that checks servers' certificates: against those in `roots`, else against those
/// that this machine trusts.
///
/// # Errors
/// `Invalid` when there is nobody to trust.
pub(crate) fn config(roots: Option<&Path>) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let unusable =
        |what: String| Error::new(Fault::Invalid, format!("certificates can't be checked: {what}"));
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.to_string()))?;
    let Some(path) = roots else {
        let builder =
            builder.with_platform_verifier().map_err(|error| unusable(error.to_string()))?;
        return Ok(builder.with_no_client_auth());
    };
    let mut store = RootCertStore::empty();
    for certificate in certificates(path)? {
        store.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    Ok(builder.with_root_certificates(store).with_no_client_auth())
}

/// The certificates in a file, at least one.
///
/// # Errors
/// `Invalid` when there is none.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let unusable = |what: String| {
        let message = format!("{} holds no certificate to trust: {what}", path.display());
        Error::new(Fault::Invalid, message)
    };
    let unreadable = |error: rustls::pki_types::pem::Error| unusable(error.to_string());
    let found: Vec<_> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(unreadable)?;
    match found.is_empty() {
        true => Err(unusable("it is no PEM file".into())),
        false => Ok(found),
    }
}
