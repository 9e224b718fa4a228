//! A Redis Cluster: the node that has the key is found, and found again.

use bluegreen::lease::Lease;
use bluegreen::store::Store;
use bluegreen::store::write::{Holder, Write, Written};

use super::*;
use crate::support::cli::Cli;
use crate::support::port::free_port;
use crate::support::stack;
use crate::support::traefik;

/// Nodes agree on a failover within some seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// Three nodes that share the slots, and a replica of each of the first two.
struct Cluster {
    nodes: Vec<Redis>,
}

impl Cluster {
    async fn start() -> Self {
        let mut nodes = Vec::new();
        let buses = [(); 5].map(|()| free_port().to_string());
        for bus in &buses {
            let options = [
                "--cluster-enabled",
                "yes",
                "--cluster-port",
                bus,
                "--cluster-node-timeout",
                "1000",
                "--repl-diskless-sync-delay",
                "0",
            ];
            nodes.push(Redis::start_with(&options).await);
        }
        let (first, bus) = (nodes[0].port().to_string(), &buses[0]);
        for (node, slots) in nodes.iter().zip([(0, 5460), (5461, 10922), (10923, 16383)]) {
            let (from, to) = (slots.0.to_string(), slots.1.to_string());
            node.cli(&["CLUSTER", "ADDSLOTSRANGE", &from, &to]).await;
        }
        for node in &nodes[1..] {
            node.cli(&["CLUSTER", "MEET", "127.0.0.1", &first, bus])
                .await;
        }
        for (replica, of) in [(3, 0), (4, 1)] {
            let id = nodes[of].cli(&["CLUSTER", "MYID"]).await;
            eventually("the replica takes its place", PATIENCE, async || {
                nodes[replica].try_cli(&["CLUSTER", "REPLICATE", &id]).await
            })
            .await;
        }
        let cluster = Self { nodes };
        for node in &cluster.nodes {
            eventually("the cluster is well", PATIENCE, async || {
                let info = node.cli(&["CLUSTER", "INFO"]).await;
                let known = info.contains("cluster_known_nodes:5");
                if info.contains("cluster_state:ok") && known {
                    Ok(())
                } else {
                    Err(info)
                }
            })
            .await;
        }
        for replica in &cluster.nodes[3..] {
            replica.is_in_sync().await;
        }
        cluster
    }

    /// `redis://` with these nodes.
    fn url(&self, nodes: &[usize]) -> String {
        let hosts = nodes
            .iter()
            .map(|&node| format!("127.0.0.1:{}", self.nodes[node].port()));
        format!("redis://{}", hosts.collect::<Vec<_>>().join(","))
    }

    /// A key that this node has.
    async fn key_of(&self, node: usize) -> String {
        for i in 0.. {
            let key = format!("active-{i}");
            if self.nodes[node].try_cli(&["GET", &key]).await.is_ok() {
                return key;
            }
        }
        unreachable!("there is a key in each slot")
    }

    /// An operator's SET, by way of any node that takes it.
    async fn set(&self, key: &str, color: &str) {
        eventually("a node takes the change", PATIENCE, async || {
            for node in &self.nodes {
                if node.try_cli(&["SET", key, color]).await.is_ok() {
                    return Ok(());
                }
            }
            Err("none has the key")
        })
        .await;
    }
}

fn config(key: &str) -> String {
    config_of(&[("deals", key)])
}

#[tokio::test]
async fn the_node_that_has_the_key_is_found_from_any_other() {
    let cluster = Cluster::start().await;
    for node in 0..3 {
        let key = cluster.key_of(node).await;
        let url = cluster.url(&[(node + 1) % 3]);
        let provider = Options::new(&config(&key), &url).start().await;
        serves(&provider, "blue").await;
        cluster.set(&key, "green").await;
        serves(&provider, "green").await;
        let flip = Cli::new(&["flip", "blue", "--no-wait", "--no-verify", "--why", "back"]);
        flip.of(&provider).any_stdout().any_stderr().run().await;
        serves(&provider, "blue").await;
        let history = Cli::new(&["history"]).of(&provider);
        history.stdout("back").stdout("green").run().await;

        // The record and the lease are there as well, and all of it is written in one step.
        let store: Store = url.parse().unwrap();
        let mut session = store.connect(&key).await.unwrap();
        let reading = session.read_one(&key).await.unwrap().reading;
        let lease = Lease::new("ann@here".to_owned(), "flip to green".to_owned());
        let newest = session.history(&key, 1).await.unwrap().remove(0);
        let of_the_flip = session.rollout_of(&key).await.unwrap().unwrap().record;
        assert!(of_the_flip.is_some());
        let write = Write {
            lease: Holder::Held(lease.clone()),
            record: Some((of_the_flip, b"1".to_vec())),
            change: Some((reading, newest)),
            release: false,
        };
        let written = session.write(&key, &write).await.unwrap();
        assert_eq!(written, Written::Done);
        let kept = session.rollout_of(&key).await.unwrap().unwrap();
        assert_eq!(
            (kept.record, kept.lease),
            (Some(b"1".to_vec()), Some(lease))
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_dies_is_followed_to_its_replica() {
    let mut cluster = Cluster::start().await;
    let key = cluster.key_of(0).await;
    let provider = Options::new(&config(&key), &cluster.url(&[0, 2]))
        .start()
        .await;
    let options = traefik::Options::recommended(&provider.url(), "edge-1");
    let _traefik = options.start().await;
    cluster.set(&key, "green").await;
    serves(&provider, "green").await;
    let witness = Witness::of(&provider).await;

    cluster.nodes[0].kill();
    connected(&provider, false).await;
    eventually("the replica has the slots", PATIENCE, async || {
        cluster.nodes[3].try_cli(&["SET", &key, "blue"]).await
    })
    .await;
    eventually("it is followed", PATIENCE, async || {
        match served(&provider.get("/traefik").await, "deals") {
            blue if blue == "blue" => Ok(()),
            other => Err(other),
        }
    })
    .await;
    connected(&provider, true).await;
    let flip = Cli::new(&["flip", "green", "--no-verify"]).of(&provider);
    flip.any_stdout().any_stderr().run().await;
    // The former owner comes back, as a replica: nothing moves.
    cluster.nodes[0].restart().await;
    eventually("it is a replica", PATIENCE, async || {
        match cluster.nodes[0].try_cli(&["ROLE"]).await? {
            role if role.starts_with("slave") => Ok(()),
            role => Err(role),
        }
    })
    .await;
    witness.saw(&["green", "blue", "green"]).await;
}

#[tokio::test]
async fn a_node_that_knows_of_no_owner_is_passed_over() {
    let cluster = Cluster::start().await;
    let bus = free_port().to_string();
    let options = ["--cluster-enabled", "yes", "--cluster-port", &bus];
    let alone = Redis::start_with(&options).await;
    let key = cluster.key_of(2).await;
    cluster.set(&key, "green").await;
    let url = format!(
        "redis://127.0.0.1:{},127.0.0.1:{}",
        alone.port(),
        cluster.nodes[0].port()
    );
    let provider = Options::new(&config(&key), &url).start().await;
    serves(&provider, "green").await;
}

#[tokio::test]
async fn a_slot_that_moves_to_another_node_is_followed() {
    let cluster = Cluster::start().await;
    let key = cluster.key_of(1).await;
    let provider = Options::new(&config(&key), &cluster.url(&[0]))
        .start()
        .await;
    serves(&provider, "blue").await;
    cluster.set(&key, "green").await;
    serves(&provider, "green").await;
    let witness = Witness::of(&provider).await;

    let [from, to] = [1, 2].map(|node| &cluster.nodes[node]);
    let slot = from.cli(&["CLUSTER", "KEYSLOT", &key]).await;
    let (from_id, to_id) = (
        from.cli(&["CLUSTER", "MYID"]).await,
        to.cli(&["CLUSTER", "MYID"]).await,
    );
    to.cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id])
        .await;
    from.cli(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id])
        .await;
    let port = to.port().to_string();
    let (history, instances) = (format!("{{{key}}}:history"), format!("{{{key}}}:instances"));
    from.cli(&[
        "MIGRATE",
        "127.0.0.1",
        &port,
        "",
        "0",
        "5000",
        "REPLACE",
        "KEYS",
        &key,
        &history,
        &instances,
    ])
    .await;
    for node in &cluster.nodes[..3] {
        node.cli(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_id])
            .await;
    }
    to.cli(&["SET", &key, "blue"]).await;
    serves(&provider, "blue").await;
    connected(&provider, true).await;
    witness.saw(&["green", "blue"]).await;
}

#[tokio::test]
async fn stacks_whose_keys_are_on_several_nodes_are_told_how_to_bring_them_together() {
    let cluster = Cluster::start().await;
    let (first, second) = (cluster.key_of(0).await, cluster.key_of(1).await);
    let url = cluster.url(&[0]);
    let apart = config_of(&[("deals", &first), ("shop", &second)]);
    let provider = Options::new(&apart, &url).start().await;
    provider.log_contains("common hash tag").await;
    assert_eq!(serves_now(&provider).await, "503");

    let together = config_of(&[
        ("deals", "'{bluegreen}:deals'"),
        ("shop", "'{bluegreen}:shop'"),
    ]);
    let provider = Options::new(&together, &url).start().await;
    serves(&provider, "blue").await;
    cluster.set("{bluegreen}:shop", "green").await;
    stack_serves(&provider, "shop", "green").await;
    serves(&provider, "blue").await;
}

#[tokio::test]
async fn a_cluster_that_is_down_moves_nothing() {
    let mut cluster = Cluster::start().await;
    let key = cluster.key_of(0).await;
    let provider = Options::new(&config(&key), &cluster.url(&[0, 1]))
        .start()
        .await;
    cluster.set(&key, "green").await;
    serves(&provider, "green").await;
    let witness = Witness::of(&provider).await;
    // Without their owners the others refuse every question.
    for node in [1, 4, 2] {
        cluster.nodes[node].kill();
    }
    connected(&provider, false).await;
    assert_eq!(
        stack::color_of(&provider.get("/traefik").await.json()),
        "green"
    );
    for node in [1, 4, 2] {
        cluster.nodes[node].restart().await;
    }
    eventually("the store is back", PATIENCE, async || {
        match provider.status().await {
            status if status["store"]["connected"] == true => Ok(()),
            status => Err(status),
        }
    })
    .await;
    witness.saw(&["green"]).await;
}
