//! The default certificate that the provider makes where the config says `defaultCertificate: generated`.
//!
//! Without one Traefik makes an RSA key at every reload, which costs it tens of milliseconds at every flip.

use std::fs;
use std::io;
use std::path::Path;

/// The file in the state directory that keeps the certificate and its key.
const FILE: &str = "default-certificate.pem";

/// A self-signed certificate and its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate, in PEM.
    pub certificate_pem: String,
    /// Its private key, in PEM.
    pub key_pem: String,
}

impl Certificate {
    /// Makes a new one. Like Traefik's own it is for no particular host.
    ///
    /// # Errors
    ///
    /// Where the system has no random numbers.
    pub fn generate() -> Result<Self, rcgen::Error> {
        let mut params = rcgen::CertificateParams::new(vec!["bluegreen.default".to_owned()])?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "bluegreen default certificate");
        let key = rcgen::KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        })
    }

    /// The certificate that is kept in the state directory; a new one is made and kept where there is none.
    ///
    /// It stays the same over restarts, because a new one would be a new document for every Traefik.
    ///
    /// # Errors
    ///
    /// Where the file can't be read or written, or holds something else.
    pub fn kept_in(state_dir: &Path) -> io::Result<Self> {
        let path = state_dir.join(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => Self::from_pem(&text).ok_or_else(|| {
                let message = format!(
                    "{} holds no certificate and key; delete it to get a new one",
                    path.display()
                );
                io::Error::new(io::ErrorKind::InvalidData, message)
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = Self::generate().map_err(io::Error::other)?;
                let text = format!("{}{}", made.certificate_pem, made.key_pem);
                crate::last_good::write_atomically(&path, text.as_bytes())?;
                Ok(made)
            }
            Err(error) => Err(error),
        }
    }

    fn from_pem(text: &str) -> Option<Self> {
        let key_at = text.find("-----BEGIN PRIVATE KEY-----")?;
        let (certificate, key) = text.split_at(key_at);
        certificate
            .starts_with("-----BEGIN CERTIFICATE-----")
            .then(|| Self {
                certificate_pem: certificate.to_owned(),
                key_pem: key.to_owned(),
            })
    }
}
