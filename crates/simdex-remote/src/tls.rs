//! Whom to trust on the way to a server: whom this machine trusts, or who a file of the user names.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::error::{Error, Fault, Result};

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
    let unreadable = |error: rustls::pki_types::pem::Error| {
        unusable(format!("{} holds none: {error}", path.display()))
    };
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        let added = store.add(certificate.map_err(unreadable)?);
        added.map_err(|error| unusable(error.to_string()))?;
    }
    if store.is_empty() {
        return Err(unusable(format!("{} holds none", path.display())));
    }
    Ok(builder.with_root_certificates(store).with_no_client_auth())
}
