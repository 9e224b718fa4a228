//! Redis found through Sentinel: a failover is followed.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::support::port::free_port;
use crate::support::process::{Log, Process, guarded};
use crate::support::redis::tool;

/// A Sentinel that watches one primary under the name `bluegreen`.
struct Sentinel {
    port: u16,
    process: Process,
    _dir: TempDir,
}

impl Sentinel {
    fn start(primary: u16) -> Self {
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        let file = dir.path().join("sentinel.conf");
        let config = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\n\
             sentinel monitor bluegreen 127.0.0.1 {primary} 1\n\
             sentinel down-after-milliseconds bluegreen 1000\n\
             sentinel failover-timeout bluegreen 5000\n",
            dir.path().display()
        );
        fs::write(&file, config).unwrap();
        let mut command = guarded(tool("redis-server"));
        command.arg(file).arg("--sentinel");
        let process = Process::spawn("redis-sentinel", &mut command, &Log::default());
        Self {
            port,
            process,
            _dir: dir,
        }
    }

    async fn ask(&self, args: &[&str]) -> Result<redis::Value, String> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        let asked = async {
            let mut connection = client.get_multiplexed_async_connection().await?;
            redis::cmd("SENTINEL")
                .arg(args)
                .query_async(&mut connection)
                .await
        };
        asked
            .await
            .map_err(|error: redis::RedisError| error.to_string())
    }

    /// Waits until it knows a replica that could take over.
    async fn knows_a_replica(&self) {
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
async fn replicated() -> (Redis, Redis) {
    let primary = Redis::start_with(&["--repl-diskless-sync-delay", "0"]).await;
    let port = primary.port().to_string();
    let replica = Redis::start_with(&["--replicaof", "127.0.0.1", &port]).await;
    eventually(
        "the replica is in sync",
        Duration::from_secs(15),
        async || {
            let info = replica.cli(&["INFO", "replication"]).await;
            if info.contains("master_link_status:up") {
                Ok(())
            } else {
                Err(info)
            }
        },
    )
    .await;
    (primary, replica)
}

/// Waits until this server takes writes.
async fn is_primary(redis: &Redis) {
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

#[tokio::test]
async fn a_set_on_the_new_primary_is_followed() {
    let (first, second) = replicated().await;
    // The first one hangs: it must not hide the other.
    let (hung, sentinel) = (Sentinel::start(first.port()), Sentinel::start(first.port()));
    hung.process.signal("STOP");
    sentinel.knows_a_replica().await;
    first.cli(&["SET", "active", "green"]).await;
    let url = format!(
        "redis+sentinel://127.0.0.1:{},127.0.0.1:{}/bluegreen",
        hung.port, sentinel.port
    );
    let provider = Options::new(&deals(), &url).start().await;
    serves(&provider, "green").await;
    let witness = Witness::of(&provider).await;

    eventually("the failover begins", Duration::from_secs(10), async || {
        sentinel.ask(&["FAILOVER", "bluegreen"]).await
    })
    .await;
    is_primary(&second).await;
    second.cli(&["SET", "active", "blue"]).await;
    serves(&provider, "blue").await;
    connected(&provider, true).await;

    witness.saw(&["green", "blue"]).await;
}
