//! Redis over TLS.

use std::fs;
use std::path::Path;

use super::*;
use crate::support::port::free_port;
use crate::support::sentinel::Sentinel;

/// A certificate for these names, as the paths of its file and its key's.
fn certificate(dir: &Path, names: &[&str]) -> (String, String) {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let certified = rcgen::generate_simple_self_signed(names).unwrap();
    let write = |name: &str, pem: String| {
        let path = dir.join(name);
        fs::write(&path, pem).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let cert = write("cert.pem", certified.cert.pem());
    (
        cert,
        write("key.pem", certified.signing_key.serialize_pem()),
    )
}

#[tokio::test]
async fn redis_is_followed_over_tls_and_only_with_a_certificate_that_is_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = certificate(dir.path(), &["localhost"]);
    let (cert, key) = (&*cert, &*key);
    let tls_port = free_port().to_string();
    let redis = Redis::start_with(&[
        "--tls-port",
        &tls_port,
        "--tls-cert-file",
        cert,
        "--tls-key-file",
        key,
        "--tls-ca-cert-file",
        cert,
        "--tls-auth-clients",
        "no",
    ])
    .await;
    redis.cli(&["SET", "active", "green"]).await;
    let url = format!("rediss://localhost:{tls_port}");

    let trusting = Options::new(&deals(), &url).env("SSL_CERT_FILE", cert);
    let trusting = trusting.start().await;
    serves(&trusting, "green").await;
    redis.cli(&["SET", "active", "blue"]).await;
    serves(&trusting, "blue").await;

    let wary = Options::new(&deals(), &url).start().await;
    assert_eq!(serves_now(&wary).await, "503");
    wary.log_contains("the store can't be reached").await;
}

#[tokio::test]
async fn sentinels_have_a_login_and_tls_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = certificate(dir.path(), &["localhost", "127.0.0.1"]);
    let (plain, tls) = (free_port(), free_port());
    let redis = Redis::start_with(&["--requirepass", "of/the@server"]).await;
    let set = async |value: &str| {
        let args = [
            "--no-auth-warning",
            "-a",
            "of/the@server",
            "SET",
            "active",
            value,
        ];
        assert_eq!(redis.cli(&args).await, "OK");
    };
    let common = "sentinel auth-pass bluegreen of/the@server\nrequirepass of+the&sentinel\n";
    let with_tls = format!(
        "{common}port 0\ntls-port {tls}\ntls-cert-file {cert}\ntls-key-file {key}\ntls-ca-cert-file {cert}\n\
         tls-auth-clients no\n"
    );
    let with_plain = format!("{common}port {plain}\n");
    let _sentinels = [
        Sentinel::start_on(plain, redis.port(), 1, &with_plain),
        Sentinel::start_on(tls, redis.port(), 1, &with_tls),
    ];
    set("green").await;
    let login = ":of%2Fthe%40server";
    let own = "sentinel_password=of+the%26sentinel";
    for url in [
        format!("redis+sentinel://{login}@127.0.0.1:{plain}/bluegreen?{own}"),
        format!("redis+sentinel://{login}@localhost:{tls}/bluegreen?{own}&sentinel_tls=true"),
    ] {
        let options = Options::new(&deals(), &url).env("SSL_CERT_FILE", &cert);
        let provider = options.start().await;
        serves(&provider, "green").await;
        set("blue").await;
        serves(&provider, "blue").await;
        set("green").await;
    }
    let without = format!("redis+sentinel://{login}@127.0.0.1:{plain}/bluegreen");
    let without = Options::new(&deals(), &without).start().await;
    without.log_contains("the store can't be reached").await;
    assert_eq!(serves_now(&without).await, "503");
}
