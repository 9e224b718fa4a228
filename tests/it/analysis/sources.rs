//! Sources that answer something else than they should.

use std::net::SocketAddr;
use std::time::Duration;

use bluegreen::rollout::analysis::Standing;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{begin, config, said};
use crate::support::stack::CONFIG;

/// A server that answers everything with this, and ends the connection.
async fn stub(answer: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(&answer).await;
        }
    });
    address
}

fn ok(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").into()
}

/// What the first line says, where the source answers so: that of an instance, and that of a Prometheus.
async fn told(answer: Vec<u8>) -> [String; 2] {
    let address = stub(answer).await;
    let port = address.port();
    let sources = [
        format!("metrics: {{ port: {port} }}"),
        format!("prometheus: 'http://{address}/path'"),
    ];
    let mut told = [const { String::new() }; 2];
    for (source, told) in sources.iter().zip(&mut told) {
        let mut analysis = begin(&config(
            CONFIG,
            &format!("{source}, errors: {{ limit: 1% }}"),
        ));
        let look = analysis
            .look(&[("edge-1", "127.0.0.1")], Duration::ZERO)
            .await;
        assert_eq!(look.standing, Standing::Failing);
        let lines = said(&look);
        assert_eq!(
            lines[1],
            "unmeasured errors api green: nothing could be read; 1 of 2 looks in a row"
        );
        let line = lines[0].replace(&address.to_string(), "ADDRESS");
        *told = line.replace("unmeasured metrics: ", "");
    }
    told
}

#[tokio::test]
async fn an_answer_that_is_no_metrics_is_told_and_judges_nothing() {
    let redirect =
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    let huge = " ".repeat((16 << 20) + 1);
    for (answer, instance, prometheus) in [
        (
            ok("<html>hello</html>"),
            "these are not Traefik's metrics",
            "200 OK: `<html>hello</html>`",
        ),
        (ok(""), "these are not Traefik's metrics", "200 OK"),
        (
            ok("{}"),
            "these are not Traefik's metrics",
            "invalid type: null",
        ),
        (
            ok(r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#),
            "these are not",
            "it has no metrics of any Traefik",
        ),
        (
            ok(
                "traefik_config_reloads_total 1\ntraefik_service_requests_total{service=\"a\",code=\"200\"} NaN\n",
            ),
            "line 2 is no metric",
            "200 OK: `traefik",
        ),
        (redirect.into(), "302 Found", "302 Found"),
        (
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy".into(),
            "503 Service Unavailable: `busy`",
            "503 Service Unavailable: `busy`",
        ),
        (
            ok(&huge),
            "the body has more than 16777216 bytes",
            "the body has more than 16777216 bytes",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\ntraefik_config_reloads_total 1\n".into(),
            "the answer broke off",
            "the answer broke off",
        ),
        (
            b"SSH-2.0-OpenSSH_9.2\r\n".into(),
            "invalid HTTP version",
            "invalid HTTP version",
        ),
    ] {
        let [of_instance, of_prometheus] = told(answer).await;
        let expected = format!("edge-1 at ADDRESS: {instance}");
        let at_port = of_instance.contains(&expected);
        assert!(at_port, "{of_instance} is not {expected}");
        assert!(
            of_prometheus.starts_with(prometheus),
            "{of_prometheus} is not {prometheus}"
        );
    }
}

#[tokio::test]
async fn no_instance_at_all_is_nothing_to_read() {
    let mut analysis = begin(&config(
        CONFIG,
        "metrics: { port: 1 }, errors: { limit: 1% }, failures: 1",
    ));
    for (instances, line) in [
        (
            &[] as &[(&str, &str)],
            "unmeasured metrics: no Traefik polls",
        ),
        (
            &[("edge-1", "nowhere")],
            "unmeasured metrics: edge-1 at nowhere:1: this is no address",
        ),
    ] {
        let look = analysis.look(instances, Duration::ZERO).await;
        assert_eq!(said(&look)[0], line);
        assert_eq!(look.standing, Standing::Failed);
    }
}

#[tokio::test]
async fn a_prometheus_that_is_away_fails_a_query_as_often_as_counts() {
    let query = "queries: [{ name: q, query: '1', atMost: 1 }]";
    let config = config(
        CONFIG,
        &format!("prometheus: 'http://127.0.0.1:1', {query}"),
    );
    let mut analysis = begin(&config);
    let away = "q green: the Prometheus does not answer: Connection refused (os error 111)";
    for (standing, line) in [
        (
            Standing::Failing,
            format!("unmeasured {away}; 1 of 2 looks in a row"),
        ),
        (Standing::Failed, format!("failed {away}; 2 looks in a row")),
    ] {
        let look = analysis.look(&[], Duration::ZERO).await;
        assert_eq!((look.standing, said(&look)), (standing, vec![line]));
    }
}

/// An engine may run it on any thread.
#[test]
fn a_look_can_be_taken_from_thread_to_thread() {
    fn is_send<T: Send>(_: &T) {}
    let mut analysis = begin(&config(
        CONFIG,
        "metrics: { port: 1 }, errors: { limit: 1% }",
    ));
    is_send(&analysis.look(&[], Duration::ZERO));
}
