//! Redis over TLS.

use std::fs;

use super::*;
use crate::support::port::free_port;

#[tokio::test]
async fn redis_is_followed_over_tls_and_only_with_a_certificate_that_is_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    fs::write(&cert, certified.cert.pem()).unwrap();
    fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
    let tls_port = free_port().to_string();
    let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
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
