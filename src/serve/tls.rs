//! TLS of the endpoint, client certificates (Traefik's `providers.http.tls`), and how the endpoint asks itself.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::renewed::secret;

/// Reads what the endpoint needs to speak TLS: its certificate chain and key, and, where only known clients may come,
/// the certificates of those that sign theirs. All in PEM.
///
/// # Errors
///
/// Which file can't be read or used, and why.
pub fn acceptor(
    certificate: &Path,
    key: &Path,
    client_ca: Option<&Path>,
) -> io::Result<TlsAcceptor> {
    let chain = certificates(certificate)?;
    let private_key = private_key(key)?;
    let config = ServerConfig::builder();
    let config = match client_ca {
        None => config.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for root in certificates(path)? {
                roots.add(root).map_err(|error| unusable(path, error))?;
            }
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build();
            config.with_client_cert_verifier(verifier.map_err(|error| unusable(path, error))?)
        }
    };
    let config = config.with_single_cert(chain, private_key);
    let config = config.map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            let other = format!("it is not the certificate of the key in {}", key.display());
            unusable(certificate, other)
        }
        error => unusable(certificate, error),
    })?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn private_key(path: &Path) -> io::Result<PrivateKeyDer<'static>> {
    let text = secret(path)?;
    // PKCS #8 says so in its label, the older forms in a header (RFC 1421).
    let encrypted = |line: &str| {
        line.contains("BEGIN ENCRYPTED PRIVATE KEY")
            || line.starts_with("Proc-Type:") && line.contains("ENCRYPTED")
    };
    if text.lines().any(encrypted) {
        let file = path.display();
        let why = format!(
            "the key is encrypted, and nobody is there to type its password: decrypt it, as by `openssl pkey -in {file} -out FILE`"
        );
        return Err(unusable(path, why));
    }
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| match error {
        pem::Error::NoItemsFound => unusable(path, "it holds no private key"),
        error => unusable(path, error),
    })
}

/// What speaks TLS to whoever is there, whatever certificate it shows.
pub fn connector_to_anybody() -> TlsConnector {
    let verifier = Anybody(ring::default_provider().signature_verification_algorithms);
    let config = ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// What speaks TLS to those whose certificates this host trusts.
pub fn connector_to_known() -> TlsConnector {
    let mut roots = RootCertStore::empty();
    // What can't be read trusts nobody, and who shows such a certificate is refused.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// Takes any certificate; its key the server must have.
#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// The certificates in a file of PEM, at least one.
///
/// # Errors
///
/// The file can't be read, or holds none.
pub fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).map_err(|error| unusable(path, error))?;
    let read: Result<Vec<_>, _> = read.collect();
    match read {
        Ok(all) if all.is_empty() => Err(unusable(path, "it holds no certificate")),
        Ok(all) => Ok(all),
        Err(error) => Err(unusable(path, error)),
    }
}

fn unusable(path: &Path, error: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}
