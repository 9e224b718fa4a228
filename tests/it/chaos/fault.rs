//! The faults: what happens, and how it ends.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::Duration;

use fastrand::Rng;

use super::network::Quality;
use super::world::World;
use crate::support::eventually;
use crate::support::poll::Poller;
use crate::support::redis;

/// On a slow link everything takes so much longer.
const SLOW: Duration = Duration::from_millis(150);

/// What can happen. The number is that of the edge to which it happens.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fault {
    /// None: a plain change.
    Change,
    KillProvider(usize),
    TermProvider(usize),
    StopProvider(usize),
    KillTraefik(usize),
    TermTraefik(usize),
    StopTraefik(usize),
    KillRedis,
    TermRedis,
    StopRedis,
    /// It comes back without anything.
    EmptyRedis,
    FlushAll,
    DeleteKey,
    /// The key holds what is no traffic value.
    Garbage(&'static str),
    LargeValue,
    /// The key holds a list.
    WrongType,
    /// Between provider and Redis.
    Store(usize, Quality),
    /// Between Traefik and provider.
    Polls(usize, Quality),
    /// One more Traefik polls over the link, held for long, and the link breaks.
    BreakingHold(usize),
    /// Somebody polls under ever new names, and an operator flips.
    InstanceFlood(usize),
    FullDisk(usize),
    UnusableStateDir(usize),
    BadConfig(usize),
    /// A config with one more stack, whose key holds no traffic value.
    WaitingConfig(usize),
    /// A provider misses a change, and Redis comes back empty.
    StaleDisk(usize),
    /// The second provider gets another one, and its Traefik has to connect anew.
    ReplacedCertificate,
    /// Several operators flip at once.
    Operators,
    /// A flip has to go back, and Redis refuses that for a while.
    RefusedWayBack,
    /// An operator has the Sentinels make the replica the primary.
    Failover,
    /// The primary dies, and the Sentinels notice.
    KillPrimary,
    /// The primary hangs, and later believes that it still is the primary.
    StopPrimary,
    StopSentinel(usize),
}

/// What nearly is a traffic value, and isn't.
const GARBAGE: [&str; 12] = [
    "greenish",
    "green,",
    "GREEN",
    "green:0",
    "green:-1",
    "green:100001",
    "green green",
    "blue,green",
    "green:50,green:50",
    "",
    "null",
    "blue:1;green:1",
];

impl Fault {
    /// One of each kind, with what is left open chosen by `rng`.
    pub(super) fn each(rng: &mut Rng) -> Vec<Self> {
        let mut edge = || rng.usize(..2);
        let mut faults = vec![
            Self::Change,
            Self::KillProvider(edge()),
            Self::TermProvider(edge()),
            Self::StopProvider(edge()),
            Self::KillTraefik(edge()),
            Self::TermTraefik(edge()),
            Self::StopTraefik(edge()),
            Self::KillRedis,
            Self::TermRedis,
            Self::StopRedis,
            Self::EmptyRedis,
            Self::FlushAll,
            Self::DeleteKey,
            Self::LargeValue,
            Self::WrongType,
            Self::FullDisk(edge()),
            Self::UnusableStateDir(edge()),
            Self::BadConfig(edge()),
            Self::WaitingConfig(edge()),
            Self::StaleDisk(edge()),
            Self::ReplacedCertificate,
            Self::Operators,
            Self::RefusedWayBack,
        ];
        for quality in [Quality::Slow(SLOW), Quality::Silent, Quality::Closed] {
            faults.push(Self::Store(edge(), quality));
            faults.push(Self::Polls(edge(), quality));
        }
        // At the one that speaks no TLS; last, because the guest is waited for a while after it has left.
        faults.push(Self::InstanceFlood(0));
        faults.push(Self::BreakingHold(0));
        faults.push(Self::Garbage(GARBAGE[rng.usize(..GARBAGE.len())]));
        faults
    }

    /// One of each kind of what happens where Sentinels watch.
    pub(super) fn each_with_sentinels(rng: &mut Rng) -> Vec<Self> {
        let sentinel = rng.usize(..3);
        vec![
            Self::Failover,
            Self::StopSentinel(sentinel),
            Self::KillPrimary,
            Self::StopPrimary,
        ]
    }

    /// What it is called, whatever it happens to.
    pub(super) fn kind(&self) -> String {
        let quality = match self {
            Self::Store(_, quality) | Self::Polls(_, quality) => format!(" {quality:?}"),
            _ => String::new(),
        };
        let text = format!("{self:?}");
        let (name, _) = text.split_once('(').unwrap_or((&text, ""));
        format!("{name}{quality}")
    }

    /// What it happens to: no two faults at once happen to the same.
    pub(super) fn concerns(&self) -> String {
        match self {
            // These need all that the others take away.
            Self::Change
            | Self::Operators
            | Self::RefusedWayBack
            | Self::InstanceFlood(_)
            | Self::StaleDisk(_) => "operators".to_owned(),
            // A provider that starts needs its disk.
            Self::KillProvider(i)
            | Self::TermProvider(i)
            | Self::StopProvider(i)
            | Self::FullDisk(i)
            | Self::UnusableStateDir(i)
            | Self::BadConfig(i)
            | Self::WaitingConfig(i) => format!("provider {i}"),
            Self::ReplacedCertificate => "provider 1".to_owned(),
            Self::KillTraefik(i) | Self::TermTraefik(i) | Self::StopTraefik(i) => {
                format!("traefik {i}")
            }
            Self::KillRedis
            | Self::TermRedis
            | Self::StopRedis
            | Self::EmptyRedis
            | Self::FlushAll
            | Self::DeleteKey
            | Self::Garbage(_)
            | Self::LargeValue
            | Self::WrongType
            | Self::Failover
            | Self::KillPrimary
            | Self::StopPrimary
            | Self::StopSentinel(_) => "redis".to_owned(),
            Self::Store(i, _) => format!("store link {i}"),
            Self::Polls(i, _) | Self::BreakingHold(i) => format!("polls link {i}"),
        }
    }

    /// Whether Redis takes a change while it lasts.
    pub(super) fn leaves_redis(&self) -> bool {
        !matches!(
            self,
            Self::KillRedis
                | Self::TermRedis
                | Self::StopRedis
                | Self::EmptyRedis
                | Self::StaleDisk(_)
        )
    }

    /// Gives the Traefiks that are away by it.
    pub(super) async fn begin(&self, world: &mut World) -> BTreeSet<usize> {
        let mut gone = BTreeSet::new();
        match self {
            Self::Change | Self::Operators | Self::RefusedWayBack => {}
            Self::KillProvider(i) => world.edges[*i].provider.kill(),
            Self::TermProvider(i) => {
                world.edges[*i].provider.terminate().await;
            }
            Self::StopProvider(i) => world.edges[*i].provider.stop(),
            Self::KillTraefik(i) => {
                gone.insert(*i);
                world.edges[*i].traefik.kill();
            }
            Self::TermTraefik(i) => {
                gone.insert(*i);
                world.edges[*i].traefik.terminate().await;
            }
            Self::StopTraefik(i) => {
                gone.insert(*i);
                world.edges[*i].traefik.stop();
            }
            Self::KillRedis => world.keys.primary().kill(),
            Self::TermRedis => world.keys.primary().terminate().await,
            Self::StopRedis => world.keys.primary().stop(),
            Self::EmptyRedis => {
                world.keys.cli(&["FLUSHALL"]).await;
                world.keys.primary().kill();
            }
            Self::FlushAll => drop(world.keys.cli(&["FLUSHALL"]).await),
            Self::DeleteKey => drop(world.keys.cli(&["DEL", "active"]).await),
            Self::Garbage(value) => drop(world.keys.cli(&["SET", "active", value]).await),
            Self::LargeValue => {
                // `green`, and then a megabyte of nothing.
                world.keys.cli(&["SET", "active", "green,"]).await;
                let far = (1024 * 1024).to_string();
                world.keys.cli(&["SETRANGE", "active", &far, "green"]).await;
            }
            Self::WrongType => {
                world.keys.cli(&["DEL", "active"]).await;
                world.keys.cli(&["RPUSH", "active", "green"]).await;
            }
            Self::Failover => world.keys.fail_over().await,
            Self::KillPrimary => {
                world.keys.primary().kill();
                world.keys.other_is_primary().await;
            }
            Self::StopPrimary => {
                world.keys.primary().stop();
                world.keys.other_is_primary().await;
            }
            Self::StopSentinel(i) => world.keys.signal_sentinel(*i, "STOP"),
            Self::Store(i, quality) => world.edges[*i].store().becomes(*quality),
            Self::Polls(i, quality) => world.edges[*i].polls.becomes(*quality),
            Self::BreakingHold(i) => {
                let guest = world.edges[*i].guest().await;
                world.guest = Some(guest);
                world.edges[*i].polls.becomes(Quality::Closed);
            }
            Self::InstanceFlood(i) => {
                flood(world, *i).await;
                let idle = world.idle();
                world.ledger.allow(&idle);
                let args = ["flip", &idle, "--no-verify", "--timeout", "45s"];
                world.command(&args).run().await;
                world.color = idle;
            }
            Self::FullDisk(i) => fill_disk(&world.edges[*i].provider.state_dir()),
            Self::UnusableStateDir(i) => {
                let dir = world.edges[*i].provider.state_dir();
                fs::rename(&dir, dir.with_extension("away")).unwrap();
                fs::write(&dir, "no folder").unwrap();
            }
            Self::BadConfig(i) => {
                let provider = &world.edges[*i].provider;
                let refused = provider.log().count("refused");
                let good = fs::read_to_string(provider.config()).unwrap();
                fs::write(provider.config().with_extension("good"), good).unwrap();
                provider.write_config("stacks: { deals: { servces: {} } }");
                eventually("it is refused", Duration::from_secs(10), async || {
                    let now = provider.log().count("refused");
                    if now > refused { Ok(()) } else { Err(now) }
                })
                .await;
            }
            Self::WaitingConfig(i) => {
                world.keys.cli(&["SET", "waits", "nonsense"]).await;
                let provider = &world.edges[*i].provider;
                let waiting = provider.log().count("the new config waits");
                let good = fs::read_to_string(provider.config()).unwrap();
                fs::write(provider.config().with_extension("good"), &good).unwrap();
                let servers =
                    "servers: { blue: 'http://127.0.0.1:1', green: 'http://127.0.0.1:2' }";
                provider.write_config(&format!(
                    "{good}  waits:\n    key: waits\n    services:\n      api: {{ rule: Host(`waits.localhost`), {servers} }}\n"
                ));
                eventually("it waits", Duration::from_secs(10), async || {
                    let now = provider.log().count("the new config waits");
                    if now > waiting { Ok(()) } else { Err(now) }
                })
                .await;
            }
            Self::StaleDisk(i) => {
                world.edges[*i].provider.kill();
                let idle = world.idle();
                world.change(&idle).await;
                world.edges[1 - *i].serves(&idle).await;
                world.keys.cli(&["FLUSHALL"]).await;
                world.keys.primary().kill();
            }
            Self::ReplacedCertificate => {
                let edge = &world.edges[1];
                let in_force = || edge.provider.log().count("certificate is in force");
                let before = in_force();
                edge.certificate().replace();
                eventually("it is in force", Duration::from_secs(10), async || {
                    let now = in_force();
                    if now > before { Ok(()) } else { Err(now) }
                })
                .await;
                edge.polls.becomes(Quality::Closed);
            }
        }
        gone
    }

    pub(super) async fn end(&self, world: &mut World) {
        match self {
            Self::Change => {}
            Self::KillProvider(i) | Self::TermProvider(i) => {
                world.edges[*i].provider.restart().await;
            }
            Self::StopProvider(i) => world.edges[*i].provider.cont(),
            Self::KillTraefik(i) | Self::TermTraefik(i) => world.edges[*i].traefik.restart().await,
            Self::StopTraefik(i) => world.edges[*i].traefik.cont(),
            Self::KillRedis | Self::TermRedis | Self::EmptyRedis => {
                world.keys.primary().restart().await
            }
            Self::StopRedis => world.keys.primary().cont(),
            Self::Store(i, _) => world.edges[*i].store().becomes(Quality::Good),
            Self::Polls(i, _) => world.edges[*i].polls.becomes(Quality::Good),
            Self::BreakingHold(i) => {
                let edge = &world.edges[*i];
                edge.polls.becomes(Quality::Good);
                let guest = world.guest.take().unwrap();
                edge.has_back(&guest, &world.color).await;
            }
            Self::FullDisk(i) => empty_disk(&world.edges[*i].provider.state_dir()),
            Self::UnusableStateDir(i) => {
                let dir = world.edges[*i].provider.state_dir();
                fs::remove_file(&dir).unwrap();
                fs::rename(dir.with_extension("away"), &dir).unwrap();
            }
            Self::StaleDisk(i) => {
                world.keys.primary().restart().await;
                world.edges[*i].provider.restart().await;
                // Before anybody sets the key again.
                let color = world.color.clone();
                world.edges[*i].serves(&color).await;
            }
            Self::BadConfig(i) | Self::WaitingConfig(i) => {
                let provider = &world.edges[*i].provider;
                let good = provider.config().with_extension("good");
                provider.write_config(&fs::read_to_string(good).unwrap());
            }
            Self::ReplacedCertificate => world.edges[1].polls.becomes(Quality::Good),
            Self::Operators => operators(world).await,
            Self::RefusedWayBack => refused_way_back(world).await,
            Self::KillPrimary => world.keys.replica().restart().await,
            Self::StopPrimary => world.keys.replica().cont(),
            Self::StopSentinel(i) => world.keys.signal_sentinel(*i, "CONT"),
            Self::InstanceFlood(_)
            | Self::Failover
            | Self::FlushAll
            | Self::DeleteKey
            | Self::Garbage(_)
            | Self::LargeValue
            | Self::WrongType => {}
        }
    }

    /// Whether the key says nothing, or nothing of use, from then on.
    pub(super) fn loses_the_key(&self) -> bool {
        matches!(
            self,
            Self::EmptyRedis
                | Self::StaleDisk(_)
                | Self::FlushAll
                | Self::DeleteKey
                | Self::Garbage(_)
                | Self::LargeValue
                | Self::WrongType
        )
    }
}

/// Somebody without a token polls once under each of many names, on one connection.
async fn flood(world: &World, edge: usize) {
    const NAMES: usize = 1_000;
    let mut client = Poller::connect(world.edges[edge].provider.address()).await;
    for i in 0..NAMES {
        let name = format!("made-up-{i}");
        let answer = client.poll(&[("X-Traefik-Instance", &name)]).await;
        assert_eq!(answer.status, 200);
    }
}

/// Three operators, none of whom knows of the others.
async fn operators(world: &mut World) {
    world.ledger.allow("blue");
    world.ledger.allow("green");
    let idle = world.idle();
    let flip = |color: &str| {
        let args = ["flip", color, "--no-verify", "--timeout", "20s"];
        world.command(&args).any_code().run()
    };
    let (first, second, third) = tokio::join!(flip(&idle), flip(&world.color), flip(&idle));
    for run in [first, second, third] {
        // Done, not all confirmed in time because somebody else flipped, or somebody else did or is at it.
        assert!(matches!(run.code, 0 | 5 | 7), "{run:?}");
    }
    world.color = world.keys.cli(&["GET", "active"]).await;
    assert!(["blue", "green", ""].contains(&&*world.color));
    if world.color.is_empty() {
        world.color = "blue".to_owned();
    }
    let history = world.command(&["history", "--json"]).run().await.json();
    let newest = &history["history"][0]["to"];
    assert!(newest.is_null() || *newest == *world.color, "{history}");
    let lease = world.keys.cli(&["GET", "{active}:lease"]).await;
    assert_eq!(lease, "", "the lease is still there");
}

/// A flip whose smoke test of production fails, and has Redis refuse every write by then.
async fn refused_way_back(world: &mut World) {
    let idle = world.idle();
    world.ledger.allow(&idle);
    let config = fs::read_to_string(world.edges[0].provider.config()).unwrap();
    let (web, port) = (world.edges[0].traefik.web(), world.keys.primary().port());
    let cli = redis::tool("redis-cli");
    let refuse = format!("{} -p {port} CONFIG SET maxmemory 1; false", cli.display());
    let more = format!(
        "    production: http://{web}\n    checks: [{{ name: never, on: [production], command: '{refuse}' }}]\n    services:\n"
    );
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bluegreen.yml");
    fs::write(&path, config.replacen("    services:\n", &more, 1)).unwrap();
    let run = world.command(&["flip", &idle, "--timeout", "30s"]);
    let run = run.config(path).code(4).start();
    run.says("waiting for the store to take the way back: OOM")
        .await;
    world.keys.cli(&["CONFIG", "SET", "maxmemory", "0"]).await;
    run.end().await;
    // Where the key had never been set, it says now what it meant.
    assert_eq!(world.keys.cli(&["GET", "active"]).await, world.color);
}

/// A disk of its own, without room. Where that can't be, nothing is done, and it says so.
fn fill_disk(dir: &std::path::Path) {
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=4k", "bluegreen-chaos"])
        .arg(dir)
        .status();
    if mounted.is_ok_and(|status| status.success()) {
        fs::write(dir.join("everything"), vec![0; 4096]).unwrap();
    } else {
        println!("SKIPPED: no disk can be mounted here, so none was full");
    }
}

fn empty_disk(dir: &std::path::Path) {
    if dir.join("everything").exists() {
        let status = Command::new("umount").arg(dir).status().unwrap();
        assert!(status.success());
    }
}
