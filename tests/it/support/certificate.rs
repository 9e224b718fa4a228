//! A certificate that signs itself, as files that can be replaced.

use tempfile::TempDir;

/// The files; they go with it.
pub(crate) struct Certificate(TempDir);

impl Certificate {
    pub(crate) fn new() -> Self {
        let certificate = Self(tempfile::tempdir().unwrap());
        certificate.replace();
        certificate
    }

    /// Another one takes its place: first the certificate, then its key.
    pub(crate) fn replace(&self) {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        std::fs::write(self.0.path().join("tls.crt"), chain).unwrap();
        std::fs::write(self.0.path().join("tls.key"), key).unwrap();
    }

    /// The flags of a provider that shows it.
    pub(crate) fn flags(&self) -> [String; 2] {
        let flag =
            |name: &str, file: &str| format!("{name}={}", self.0.path().join(file).display());
        [flag("--tls-cert", "tls.crt"), flag("--tls-key", "tls.key")]
    }
}
