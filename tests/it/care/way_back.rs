//! The way back, while Redis refuses or does not answer: it is tried until the time is over.

use super::site::Site;

/// What makes Redis refuse or not answer a write, what ends that, and what is said of it.
const FAULTS: [(&[&str], &[&str], &str); 3] = [
    (
        &["CONFIG", "SET", "maxmemory", "1"],
        &["CONFIG", "SET", "maxmemory", "0"],
        "OOM",
    ),
    (
        &["REPLICAOF", "127.0.0.1", "1"],
        &["REPLICAOF", "NO", "ONE"],
        "READONLY",
    ),
    (
        &["CLIENT", "PAUSE", "60000", "WRITE"],
        &["CLIENT", "UNPAUSE"],
        "redis does not answer",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_gone_as_soon_as_redis_takes_it() {
    for (begin, end, said) in FAULTS {
        let site = Site::start().await;
        let run = site.flip(&["--bake", "10m"]).code(4);
        let run = run.stderr("rolled back to blue").start();
        run.says("watching production").await;
        site.services[0].set_status_in_public("green", 500);
        run.says("waiting for answer api").await;
        site.redis.cli(begin).await;
        run.says("waiting for the store to take the way back").await;
        site.redis.cli(end).await;
        let all = run.end().await;
        assert!(all.contains(said), "{said}: {all}");
        assert_eq!(site.key().await, "blue", "{said}");
        assert_eq!(site.moves().await, ["blue", "green"], "{said}");
        site.is_free().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_known_when_the_time_is_over_is_said() {
    for (begin, end, said) in FAULTS {
        let site = Site::start().await;
        let run = site.flip(&["--bake", "10m", "--timeout", "4"]).code(6);
        let known = match said {
            "redis does not answer" => {
                "it is not known whether it could be rolled back to blue".to_owned()
            }
            _ => format!("not rolled back to blue, which the store still refuses: {said}"),
        };
        let run = run.stderr(&known).start();
        run.says("watching production").await;
        site.services[0].set_status_in_public("green", 500);
        run.says("waiting for answer api").await;
        site.redis.cli(begin).await;
        let all = run.end().await;
        site.redis.cli(end).await;
        if said != "redis does not answer" {
            assert!(all.contains("green keeps the traffic"), "{all}");
            assert_eq!(site.key().await, "green", "{said}");
        }
    }
}
