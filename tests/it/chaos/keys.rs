//! Where the key is: one Redis, or two that three Sentinels watch.

use std::time::Duration;

use crate::support::eventually;
use crate::support::redis::Redis;
use crate::support::sentinel::{Sentinel, is_primary, replicated};

/// Sentinels agree on a new primary within some seconds, and take a former one that came back for a replica after more.
const PATIENCE: Duration = Duration::from_secs(40);

/// Redis.
pub(super) struct Keys {
    servers: Vec<Redis>,
    sentinels: Vec<Sentinel>,
    /// Which of the servers is the primary.
    primary: usize,
}

impl Keys {
    /// One server. What is in it outlives it.
    pub(super) async fn of_one() -> Self {
        Self {
            servers: vec![Redis::start_with(&["--appendonly", "yes"]).await],
            sentinels: Vec::new(),
            primary: 0,
        }
    }

    /// A primary and a replica, watched by three Sentinels of which two must agree.
    pub(super) async fn watched() -> Self {
        let (first, second) = replicated().await;
        let sentinels = [(); 3].map(|()| Sentinel::start(first.port(), 2));
        let keys = Self {
            servers: vec![first, second],
            sentinels: sentinels.into(),
            primary: 0,
        };
        keys.can_fail_over().await;
        keys
    }

    /// The only server, or the one that is the primary now.
    pub(super) fn primary(&mut self) -> &mut Redis {
        &mut self.servers[self.primary]
    }

    pub(super) async fn cli(&self, args: &[&str]) -> String {
        self.servers[self.primary].cli(args).await
    }

    pub(super) fn url(&self) -> String {
        if self.sentinels.is_empty() {
            return self.servers[0].url();
        }
        let sentinels = self.sentinels.iter();
        let addresses = sentinels.map(|sentinel| format!("127.0.0.1:{}", sentinel.port));
        let addresses: Vec<_> = addresses.collect();
        format!("redis+sentinel://{}/bluegreen", addresses.join(","))
    }

    /// An operator has Sentinel make the other one the primary.
    pub(super) async fn fail_over(&mut self) {
        eventually("the failover begins", PATIENCE, async || {
            self.sentinels[0].ask(&["FAILOVER", "bluegreen"]).await
        })
        .await;
        self.other_is_primary().await;
    }

    /// Waits until the other one is the primary.
    pub(super) async fn other_is_primary(&mut self) {
        self.primary = 1 - self.primary;
        is_primary(self.primary()).await;
    }

    /// The former primary.
    pub(super) fn replica(&mut self) -> &mut Redis {
        &mut self.servers[1 - self.primary]
    }

    pub(super) fn signal_sentinel(&self, i: usize, signal: &str) {
        self.sentinels[i].process.signal(signal);
    }

    /// Waits until the replica has what the primary has, and the Sentinels know both and each other.
    pub(super) async fn can_fail_over(&self) {
        if self.sentinels.is_empty() {
            return;
        }
        self.servers[1 - self.primary].is_in_sync().await;
        for sentinel in &self.sentinels {
            sentinel.knows_a_replica().await;
            eventually("the Sentinels agree", PATIENCE, async || {
                let answer = sentinel.ask(&["CKQUORUM", "bluegreen"]).await?;
                let answer = format!("{answer:?}");
                if answer.contains("OK 3") {
                    Ok(())
                } else {
                    Err(answer)
                }
            })
            .await;
        }
    }
}
