//! TLS of the endpoint, with the real Traefik as its client.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::support::cli::Cli;
use crate::support::eventually;
use crate::support::http::Connection;
use crate::support::load::Load;
use crate::support::provider::{self, Provider};
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
    let another = "it shows another certificate than";
    let check = healthcheck("traefik.pem").stdout_is(asks);
    check.stderr(another).run().await;

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
    let label = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
    let header =
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00";
    let authority = Authority::new(dir.path());
    authority.sign("one");
    authority.sign("other");
    for encrypted in [label, header] {
        std::fs::write(
            dir.path().join("locked.key"),
            format!("{encrypted}\n\nAA==\n"),
        )
        .unwrap();
        serve(&["--tls-cert", "one.pem", "--tls-key", "locked.key"])
            .stderr("locked.key: the key is encrypted")
            .stderr("openssl pkey -in locked.key")
            .run()
            .await;
    }
    serve(&["--tls-cert", "one.pem", "--tls-key", "other.key"])
        .stderr("one.pem: it is not the certificate of the key in other.key")
        .run()
        .await;
    serve(&["--tls-cert", "one.pem", "--tls-key", "one.pem"])
        .stderr("one.pem: it holds no private key")
        .run()
        .await;
    serve(&["--tls-cert", "empty.pem"])
        .stderr("--tls-key")
        .run()
        .await;
}

/// A folder whose files are links into another one behind `..data`, as Kubernetes mounts a secret.
struct Mounted(PathBuf);

impl Mounted {
    fn new(dir: &Path) -> Self {
        let mounted = Self(dir.join("mounted"));
        std::fs::create_dir(&mounted.0).unwrap();
        for name in ["tls.crt", "tls.key"] {
            symlink(format!("..data/{name}"), mounted.0.join(name)).unwrap();
        }
        mounted
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// Puts others in their place, both in one step.
    fn replace(&self, version: &str, certificate: &str, key: &str) {
        let dir = self.0.join(version);
        std::fs::create_dir(&dir).unwrap();
        std::fs::copy(certificate, dir.join("tls.crt")).unwrap();
        std::fs::copy(key, dir.join("tls.key")).unwrap();
        symlink(version, self.0.join("..new")).unwrap();
        std::fs::rename(self.0.join("..new"), self.0.join("..data")).unwrap();
    }
}

/// What a provider that speaks TLS says of itself, and the certificate that it shows.
async fn status(provider: &Provider) -> (serde_json::Value, Vec<u8>) {
    let (mut connection, shown) = Connection::open_tls(provider.address()).await.unwrap();
    let answer = connection.get("localhost", "/status", &[]).await.unwrap();
    (answer.json(), shown)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replaced_certificate_is_taken_over_under_load_and_a_bad_one_is_not() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [old, new] = [0, 1].map(|i| Authority::new(dirs[i].path()));
    for authority in [&old, &new] {
        authority.sign("endpoint");
        authority.sign("other");
    }
    let both = dirs[0].path().join("both.pem");
    let roots = [old.issuer.pem(), new.issuer.pem()].concat();
    std::fs::write(&both, roots).unwrap();
    let mounted = Mounted::new(dirs[0].path());
    mounted.replace("..1", &old.file("endpoint.pem"), &old.file("endpoint.key"));
    let provider = provider::Options::new(&stack.config(), &redis.url())
        .arg(&format!("--tls-cert={}", mounted.file("tls.crt")))
        .arg(&format!("--tls-key={}", mounted.file("tls.key")))
        .start()
        .await;
    let endpoint = provider.url().replace("http://", "https://");
    let traefik = |instance: &str, ca: &str| {
        let options = Options::recommended(&endpoint, instance);
        options.arg(&format!("--providers.http.tls.ca={ca}"))
    };
    let edge = traefik("edge", &both.display().to_string()).start().await;
    edge.wait_for(HOSTS[0], "blue").await;
    let load = Load::on(edge.web()).start().await;
    let (_, shown) = status(&provider).await;

    mounted.replace("..2", &new.file("endpoint.pem"), &new.file("endpoint.key"));
    provider
        .log_contains("the new TLS certificate is in force")
        .await;
    let (said, shown_now) = status(&provider).await;
    assert_ne!(shown, shown_now);
    assert_eq!(said["problems"], serde_json::json!([]));
    // Whoever trusts the new authority alone comes in, and whoever was in stays.
    let late = traefik("late", &new.file("ca.pem")).start().await;
    late.wait_for(HOSTS[0], "blue").await;
    redis.cli(&["SET", "active", "green"]).await;
    edge.wait_for(HOSTS[0], "green").await;
    late.wait_for(HOSTS[0], "green").await;
    let healthcheck = || {
        Cli::new(&["healthcheck"])
            .env("BLUEGREEN_LISTEN", &provider.address().to_string())
            .env("BLUEGREEN_TLS_CERT", &mounted.file("tls.crt"))
            .stdout_is("ready\n")
    };
    healthcheck().run().await;

    mounted.replace("..3", &new.file("other.pem"), &new.file("endpoint.key"));
    let refused = "the new TLS certificate is refused, the old one stays in force";
    provider.log_contains(refused).await;
    let (said, shown) = status(&provider).await;
    assert_eq!(shown, shown_now);
    let problem = said["problems"][0].as_str().unwrap();
    assert!(
        problem.contains("it is not the certificate of the key"),
        "{problem}"
    );
    healthcheck().stderr("another certificate").run().await;
    redis.cli(&["SET", "active", "blue"]).await;
    edge.wait_for(HOSTS[0], "blue").await;
    late.wait_for(HOSTS[0], "blue").await;

    mounted.replace("..4", &new.file("other.pem"), &new.file("other.key"));
    eventually("the problem is over", Duration::from_secs(10), async || {
        let (said, shown) = status(&provider).await;
        let over = said["problems"] == serde_json::json!([]) && shown != shown_now;
        if over { Ok(()) } else { Err(said) }
    })
    .await;
    load.stop().await.assert_no_failures();
    // Also where nothing was replaced, for whoever asks.
    let before = provider.log().count("is in force");
    provider.signal("HUP");
    eventually("they are read anew", Duration::from_secs(10), async || {
        let now = provider.log().count("the new TLS certificate is in force");
        if now > before { Ok(()) } else { Err(now) }
    })
    .await;
}

#[tokio::test]
async fn a_secret_that_everybody_can_read_is_warned_of() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "s3cret").unwrap();
    let warning = format!("every user of this host can read {}", token.display());
    for (mode, warned) in [(0o644, 1), (0o640, 0), (0o600, 0)] {
        std::fs::set_permissions(&token, std::fs::Permissions::from_mode(mode)).unwrap();
        let provider = provider::Options::new(&stack.config(), &redis.url())
            .arg(&format!("--token-file={}", token.display()))
            .start()
            .await;
        assert_eq!(provider.log().count(&warning), warned, "{mode:o}");
    }
}
