//! TLS of the endpoint, client certificates (Traefik's `providers.http.tls`), and how the endpoint asks itself.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use tokio_rustls::{TlsAcceptor, TlsConnector};

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
    let private_key = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, error))?;
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
    let config = config.map_err(|error| unusable(certificate, error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// What speaks TLS to a provider that shows this certificate, the first in the file, and to no other: neither its name
/// nor who signed it nor its dates matter.
///
/// # Errors
///
/// The file can't be read, or holds no certificate.
pub fn connector(certificate: &Path) -> io::Result<TlsConnector> {
    let certificate = certificates(certificate)?.swap_remove(0);
    Ok(connector_to(Some(certificate)))
}

/// What speaks TLS to whoever is there, whatever certificate it shows.
pub fn connector_to_anybody() -> TlsConnector {
    connector_to(None)
}

fn connector_to(certificate: Option<CertificateDer<'static>>) -> TlsConnector {
    let verifier = Unnamed {
        certificate,
        algorithms: ring::default_provider().signature_verification_algorithms,
    };
    let config = ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// Takes one certificate, or any; its key the server must have.
#[derive(Debug)]
struct Unnamed {
    certificate: Option<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Unnamed {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self
            .certificate
            .as_ref()
            .is_none_or(|one| one == end_entity)
        {
            Ok(ServerCertVerified::assertion())
        } else {
            let reason = "it shows another certificate than the one given";
            Err(rustls::Error::General(reason.into()))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
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
