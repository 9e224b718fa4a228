//! TLS of the endpoint, with the real Traefik as its client.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::support::cli::Cli;
use crate::support::provider;
use crate::support::redis::Redis;
use crate::support::stack::{HOSTS, Stack};
use crate::support::traefik::Options;

/// An authority, and what it has signed, as files.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: PathBuf,
}

impl Authority {
    fn new(dir: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(dir.join("ca.pem"), issuer.pem()).unwrap();
        Self {
            issuer,
            dir: dir.to_owned(),
        }
    }

    /// Signs a certificate; writes `NAME.pem` and `NAME.key`.
    fn sign(&self, name: &str) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.dir.join(format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(self.dir.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    fn file(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traefik_polls_over_tls_with_a_client_certificate() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path());
    authority.sign("endpoint");
    authority.sign("traefik");
    let provider = provider::Options::new(&stack.config(), &redis.url())
        .arg(&format!("--tls-cert={}", authority.file("endpoint.pem")))
        .arg(&format!("--tls-key={}", authority.file("endpoint.key")))
        .arg(&format!("--tls-client-ca={}", authority.file("ca.pem")))
        .start()
        .await;
    let endpoint = provider.url().replace("http://", "https://");
    let traefik = |instance: &str| {
        Options::recommended(&endpoint, instance).arg(&format!(
            "--providers.http.tls.ca={}",
            authority.file("ca.pem")
        ))
    };
    let known = traefik("known")
        .arg(&format!(
            "--providers.http.tls.cert={}",
            authority.file("traefik.pem")
        ))
        .arg(&format!(
            "--providers.http.tls.key={}",
            authority.file("traefik.key")
        ))
        .start()
        .await;
    known.wait_for(HOSTS[0], "blue").await;
    redis.cli(&["SET", "active", "green"]).await;
    known.wait_for(HOSTS[0], "green").await;

    // What may not come in itself asks only whether the right one listens.
    let healthcheck = |certificate: &str| {
        Cli::new(&["healthcheck"])
            .env("BLUEGREEN_LISTEN", &provider.address().to_string())
            .env("BLUEGREEN_TLS_CERT", &authority.file(certificate))
    };
    let asks = "it listens, and asks for a client certificate\n";
    healthcheck("endpoint.pem").stdout_is(asks).run().await;
    let another = "it shows another certificate than the one given";
    healthcheck("traefik.pem")
        .code(1)
        .stderr(another)
        .run()
        .await;

    let unknown = traefik("unknown").start().await;
    unknown.log().contains("certificate required").await;
    assert_eq!(unknown.get(HOSTS[0], "/").await.status, 404);
    let status = Cli::new(&["status"])
        .of(&provider)
        .stdout("instance known")
        .run()
        .await;
    assert!(!status.stdout.contains("unknown"), "{}", status.stdout);
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_a_usage_mistake() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("bluegreen.yml"), stack.config()).unwrap();
    std::fs::write(dir.path().join("empty.pem"), "").unwrap();
    let serve = |args: &[&str]| {
        let args = [&["serve", "--listen", "127.0.0.1:0"], args].concat();
        Cli::new(&args).dir(dir.path()).store(&redis.url()).code(2)
    };
    serve(&["--tls-cert", "empty.pem", "--tls-key", "empty.pem"])
        .stderr("empty.pem")
        .run()
        .await;
    serve(&["--tls-cert", "nope.pem", "--tls-key", "nope.key"])
        .stderr("nope.pem")
        .run()
        .await;
    serve(&["--tls-cert", "empty.pem"])
        .stderr("--tls-key")
        .run()
        .await;
}
