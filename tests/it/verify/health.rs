//! The health of each server of a color.

use super::{Verify, service};
use crate::support::backend::Backend;
use crate::support::port::{free_port, loopback};

#[tokio::test]
async fn each_server_that_is_well_has_a_line() {
    let (api, mcp) = (
        Backend::start("api", &["one", "two"]).await,
        Backend::start("mcp", &["green"]).await,
    );
    let (one, two, mcp) = (api.url("one"), api.url("two"), mcp.url("green"));
    let services = service("api", &format!("[{one}, {two}]")) + &service("mcp", &mcp);
    let verify = Verify::of(&format!("    services:\n{services}"));
    let run = verify.green(&[]);
    let lines = [("api", one), ("api", two), ("mcp", mcp)];
    let expected = lines.iter().fold(run, |run, (name, url)| {
        run.stdout(&format!("passed      health      {name} {url}"))
    });
    let output = expected.run().await;
    assert_eq!(output.stdout.lines().count(), 3, "{output:?}");
    assert_eq!(output.stderr, "");

    let json = verify.green(&["--json"]).any_stdout().run().await.json();
    assert_eq!(
        (&json["exit"], &json["target"]),
        (&0.into(), &"green".into())
    );
    let check = &json["checks"][0];
    assert_eq!(check["kind"], "health", "{json}");
    assert_eq!(check["outcome"], "passed", "{json}");
    assert_eq!(check["attempts"], 1, "{json}");
    assert!(check["seconds"].as_f64().is_some_and(|s| s > 0.0), "{json}");
}

#[tokio::test]
async fn one_replica_that_is_not_well_fails_the_color_and_only_that_one_is_named() {
    let api = Backend::start("api", &["one", "two"]).await;
    api.set_healthy("two", false);
    let (one, two) = (api.url("one"), api.url("two"));
    let services = service("api", &format!("[{one}, {two}]"));
    let verify = Verify::of(&format!("    services:\n{services}"));
    let run = verify.green(&["--timeout", "1"]).code(3);
    let output = run.any_stdout().run().await;
    assert!(
        output
            .stdout
            .contains(&format!("passed      health      api {one}"))
    );
    assert!(
        output
            .stdout
            .contains(&format!("failed      health      api {two}"))
    );
    let why = format!("GET {two}/health: expected 2xx, got 503 Service Unavailable: `api two");
    assert!(output.stdout.contains(&why), "{output:?}");
    assert!(
        output
            .stderr
            .ends_with("error: green: 1 of 2 checks failed\n"),
        "{output:?}"
    );

    let run = verify.green(&["--timeout", "1", "--json"]).code(3);
    let json = run.any_stdout().run().await.json();
    assert_eq!(json["exit"], 3, "{json}");
    assert_eq!(json["checks"][1]["outcome"], "failed", "{json}");
}

#[tokio::test]
async fn a_server_that_is_still_starting_is_waited_for() {
    let port = free_port();
    let url = format!("http://{}", loopback(port));
    let verify = Verify::of(&format!("    services:\n{}", service("api", &url)));
    let run = tokio::spawn(verify.green(&["--json"]).any_stdout().run());
    // Some have found it closed by then.
    let listener = tokio::time::sleep(std::time::Duration::from_millis(300));
    listener.await;
    let listener = tokio::net::TcpListener::bind(loopback(port)).await.unwrap();
    let answers = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        for status in ["503 Service Unavailable", "204 No Content"] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let json = run.await.unwrap().json();
    answers.await.unwrap();
    let check = &json["checks"][0];
    assert_eq!(check["outcome"], "passed", "{json}");
    assert!(check["attempts"].as_u64().is_some_and(|n| n >= 3), "{json}");
}

#[tokio::test]
async fn what_can_not_be_asked_is_skipped_and_said_so() {
    let services = "      api: { rule: Host(`a`), servers: { blue: http://b, green: http://g } }
      mcp: { rule: Host(`m`), health: /, servers: { blue: http://b, green: mcp-green@docker } }
      rpc: { rule: Host(`r`), health: /, servers: { blue: http://b, green: h2c://g } }
";
    let verify = Verify::of(&format!("    services:\n{services}"));
    let run = verify.green(&[]).code(1);
    let output = run
        .stdout("skipped     health      api: the config names no `health` path")
        .stdout("skipped     health      mcp: its servers are those of `mcp-green@docker`")
        .stdout("skipped     health      rpc h2c://g: `h2c` servers are not asked")
        .run()
        .await;
    assert!(
        output.stderr.contains("there was nothing to verify"),
        "{output:?}"
    );
}

#[tokio::test]
async fn an_unknown_target_is_a_usage_mistake() {
    let verify = Verify::of(&format!("    services:\n{}", service("api", "http://g")));
    let store = format!("file:{}", verify.dir.path().display());
    let run = crate::support::cli::Cli::new(&["verify", "gren"]);
    run.config(verify.dir.path().join("bluegreen.yml"))
        .store(&store)
        .code(2)
        .stderr("`gren` is neither a color nor `production`")
        .stderr("blue, green")
        .run()
        .await;
}
