//! Redis with replicas and Sentinels: who is the primary can change.

use std::fs;
use std::time::Duration;

use tempfile::TempDir;

use super::eventually;
use super::port::free_port;
use super::process::{Log, Process, guarded};
use super::redis::{Redis, server};

/// A Sentinel that watches one primary under the name `bluegreen`.
pub(crate) struct Sentinel {
    pub(crate) port: u16,
    pub(crate) process: Process,
    _dir: TempDir,
}

impl Sentinel {
    /// One that needs `quorum` of them to agree that the primary is down.
    pub(crate) fn start(primary: u16, quorum: usize) -> Self {
        let port = free_port();
        Self::start_on(port, primary, quorum, &format!("port {port}\n"))
    }

    /// One on this port, with these lines in its config.
    pub(crate) fn start_on(port: u16, primary: u16, quorum: usize, lines: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("sentinel.conf");
        let config = format!(
            "bind 127.0.0.1\ndir {}\n\
             sentinel monitor bluegreen 127.0.0.1 {primary} {quorum}\n\
             sentinel down-after-milliseconds bluegreen 1000\n\
             sentinel failover-timeout bluegreen 5000\n{lines}",
            dir.path().display()
        );
        fs::write(&file, config).unwrap();
        let mut command = guarded(server());
        command.arg(file).arg("--sentinel");
        let process = Process::spawn("redis-sentinel", &mut command, &Log::default());
        Self {
            port,
            process,
            _dir: dir,
        }
    }

    /// `SENTINEL ARGS`.
    pub(crate) async fn ask(&self, args: &[&str]) -> Result<::redis::Value, String> {
        let client = ::redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        let asked = async {
            let mut connection = client.get_multiplexed_async_connection().await?;
            ::redis::cmd("SENTINEL")
                .arg(args)
                .query_async(&mut connection)
                .await
        };
        asked
            .await
            .map_err(|error: ::redis::RedisError| error.to_string())
    }

    /// Waits until it knows a replica that could take over.
    pub(crate) async fn knows_a_replica(&self) {
        eventually("a replica is known", Duration::from_secs(15), async || {
            let replicas = format!("{:?}", self.ask(&["REPLICAS", "bluegreen"]).await?);
            let linked = replicas.contains("master-link-status")
                && replicas.contains("'ok'") | replicas.contains("\"ok\"");
            if linked { Ok(()) } else { Err(replicas) }
        })
        .await;
    }
}

/// A primary and its replica, which has everything.
pub(crate) async fn replicated() -> (Redis, Redis) {
    let primary = Redis::start_with(&["--repl-diskless-sync-delay", "0"]).await;
    let port = primary.port().to_string();
    let replica = Redis::start_with(&["--replicaof", "127.0.0.1", &port]).await;
    replica.is_in_sync().await;
    (primary, replica)
}

/// Waits until this server takes writes.
pub(crate) async fn is_primary(redis: &Redis) {
    eventually("it is the primary", Duration::from_secs(15), async || {
        // A server that changes its role closes its connections.
        let role = redis.try_cli(&["ROLE"]).await?;
        if role.starts_with("master") {
            Ok(())
        } else {
            Err(role)
        }
    })
    .await;
}
