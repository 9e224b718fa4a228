//! No piece of a password in the store's URL is ever shown, whatever it is made of and whoever says what is wrong.

use proptest::collection::vec;
use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::holds;
use crate::state::deals;
use crate::support::cli::Cli;
use crate::support::port::free_port;
use crate::support::provider::Options;
use crate::support::redis::Redis;

/// Pieces that stand nowhere else, and what is between them: most of it has a meaning in a URL.
fn passwords() -> impl Strategy<Value = Vec<(String, String)>> {
    let between = prop_oneof![
        "[/?#@:%&=+,;\\[\\]\\\\ .'\"\\t]{1,3}",
        any::<char>().prop_map(String::from)
    ];
    let between = between.prop_filter("an argument has no zero byte", |text| !text.contains('\0'));
    vec(("[QXZJ]{5,9}", between), 1..4)
}

#[test]
fn no_password_of_the_store_is_in_what_any_command_says() {
    let runtime = Runtime::new().unwrap();
    // One that repeats what it was sent in its error, and none at all.
    let redis = runtime.block_on(Redis::start_with(&["--rename-command", "HELLO", ""]));
    let (port, nobody) = (redis.port(), free_port());
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("bluegreen.yml");
    std::fs::write(&config, deals()).unwrap();
    holds(6, passwords(), |parts| {
        let password: String = parts.iter().flat_map(|(a, b)| [&**a, b]).collect();
        let encoded: String = url::form_urlencoded::byte_serialize(password.as_bytes()).collect();
        let encoded = encoded.replace('+', "%20");
        let is_silent = |shown: &str, by: &str| {
            for (piece, _) in &parts {
                assert!(!shown.contains(piece.as_str()), "{by} shows it: {shown}");
            }
        };
        let urls = [
            format!("redis://:{password}@127.0.0.1:{port}"),
            format!("redis://:{encoded}@127.0.0.1:{port}"),
            format!("redis://operator:{password}@127.0.0.1:{nobody}"),
            format!("redis+sentinel://:{password}@127.0.0.1:{port}/name"),
            format!("redis+sentinel://127.0.0.1:{port}/name?sentinel_password={password}"),
            format!("redis+sentinel://127.0.0.1:{port}/name?sentinel_password={encoded}"),
            format!("http://:{password}@127.0.0.1"),
            password.clone(),
        ];
        let commands: [&[&str]; 4] = [
            &["status", "--json"],
            &["flip", "green", "--no-verify", "--no-wait", "--timeout=1s"],
            &["rollback", "-vv", "--timeout=1s"],
            &["history"],
        ];
        for (i, url) in urls.iter().enumerate() {
            for command in [commands[i % 4], commands[(i + 1) % 4]] {
                for run in [
                    Cli::new(command).env("BLUEGREEN_STORE", url),
                    Cli::new(&[command, &[&*format!("--store={url}")]].concat()),
                ] {
                    let run = run.config(config.clone()).any_code();
                    let said = runtime.block_on(run.any_stdout().any_stderr().run());
                    assert_ne!(said.code, 0, "{said:?}");
                    is_silent(&format!("{said:?}"), command[0]);
                }
            }
        }
        for url in [&urls[1], &urls[5]] {
            runtime.block_on(async {
                let provider = Options::new(&deals(), url).arg("-vv").start().await;
                provider.log_contains("the store can't be reached").await;
                let status = provider.status().await.to_string();
                is_silent(&status, "/status");
                is_silent(&provider.log().to_string(), "serve");
            });
        }
    });
}
