//! The world in which the faults happen: two Traefiks, each with a provider of its own, both on one Redis, and links between
//! them that can go bad. The second Traefik polls over TLS. Constant load on both Traefiks.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::keys::Keys;
use super::ledger::Ledger;
use super::network::Link;
use crate::support::backend::Backend;
use crate::support::certificate::Certificate;
use crate::support::cli::Cli;
use crate::support::eventually;
use crate::support::http::Connection;
use crate::support::load::{self, Load, Sample};
use crate::support::provider::{self, Provider};
use crate::support::stack::HOSTS;
use crate::support::traefik::{Options, Traefik};

/// Within this time after the end of a fault everything is confirmed again. Traefik's backoff after several failed polls
/// is most of it: up to 18 s.
const BOUND: Duration = Duration::from_secs(45);

/// After everything has settled, the load goes on for so many answers of each host.
const ANSWERS_OF_EACH: usize = 3;

/// Names of the two edges, as they call themselves.
const EDGES: [&str; 2] = ["edge-1", "edge-2"];

/// The name of the one that comes for one fault.
const GUEST: &str = "guest";

/// All that runs.
pub(super) struct World {
    pub(super) edges: [Edge; 2],
    pub(super) keys: Keys,
    pub(super) ledger: Ledger,
    /// What was set last.
    pub(super) color: String,
    /// One more Traefik, that is there for one fault.
    pub(super) guest: Option<Traefik>,
    _services: Vec<Backend>,
}

/// One Traefik, its provider, and the links before and behind that one.
pub(super) struct Edge {
    pub(super) traefik: Traefik,
    pub(super) provider: Provider,
    /// Between the Traefik and its provider.
    pub(super) polls: Link,
    /// The provider's certificate, where it speaks TLS.
    certificate: Option<Certificate>,
    /// Between the provider and Redis, where that is one server.
    store: Option<Link>,
}

/// What came of one fault.
pub(super) struct Aftermath {
    /// From the end of the fault until everything was confirmed.
    pub(super) recovery: Duration,
    pub(super) requests: usize,
    /// Failed at a Traefik that was itself gone.
    pub(super) excused: usize,
    pub(super) failed: Vec<Sample>,
    pub(super) misrouted: Vec<Sample>,
}

impl World {
    pub(super) async fn start(mut keys: Keys) -> Self {
        let mut services = Vec::new();
        let mut config =
            String::from("defaultCertificate: generated\nstacks:\n  deals:\n    services:\n");
        for host in HOSTS {
            let name = host.trim_end_matches(".localhost");
            let service = Backend::start(name, &["blue", "green"]).await;
            let (blue, green) = (service.url("blue"), service.url("green"));
            config += &format!(
                "      {name}: {{ rule: 'Host(`{host}`)', servers: {{ blue: '{blue}', green: '{green}' }} }}\n"
            );
            services.push(service);
        }
        // One after the other: of two that start at once on an empty store neither knows of the other.
        let edges = [
            Edge::start(EDGES[0], &config, &mut keys, None).await,
            Edge::start(EDGES[1], &config, &mut keys, Some(Certificate::new())).await,
        ];
        let mut world = Self {
            edges,
            keys,
            ledger: Ledger::new("blue"),
            color: "blue".to_owned(),
            guest: None,
            _services: services,
        };
        world.change("blue").await;
        world.settled().await;
        world
    }

    /// The color that has no traffic.
    pub(super) fn idle(&self) -> String {
        let idle = if self.color == "blue" {
            "green"
        } else {
            "blue"
        };
        idle.to_owned()
    }

    /// An operator's SET.
    pub(super) async fn change(&mut self, color: &str) {
        self.ledger.allow(color);
        self.color = color.to_owned();
        self.keys.cli(&["SET", "active", color]).await;
    }

    /// Waits until every provider serves the color that was set last, every instance has confirmed it, and it answers.
    pub(super) async fn settled(&mut self) {
        for (edge, name) in self.edges.iter().zip(EDGES) {
            let what = format!("{} is confirmed by {name}", self.color);
            eventually(&what, BOUND, async || edge.has(name, &self.color).await).await;
        }
        self.ledger.settle(&self.color);
    }

    /// Puts load on both Traefiks.
    pub(super) async fn load(&self) -> [load::Running; 2] {
        let [first, second] = &self.edges;
        [first.load().await, second.load().await]
    }

    /// Ends the load some answers after everything has settled, and judges what it was told. `gone` are the Traefiks
    /// that were themselves away since then, whose requests may fail until they are back.
    pub(super) async fn aftermath(
        &mut self,
        load: [load::Running; 2],
        gone: BTreeSet<usize>,
        began: Instant,
        ended: Instant,
    ) -> Aftermath {
        self.settled().await;
        let settled = Instant::now();
        let mut aftermath = Aftermath {
            recovery: settled - ended,
            requests: 0,
            excused: 0,
            failed: Vec::new(),
            misrouted: Vec::new(),
        };
        for (i, load) in load.into_iter().enumerate() {
            load.goes_on(settled, ANSWERS_OF_EACH * HOSTS.len()).await;
            for sample in load.stop().await.samples {
                aftermath.requests += 1;
                let away = gone.contains(&i) && sample.end >= began && sample.start <= settled;
                if !self.ledger.allows(&sample) {
                    aftermath.misrouted.push(sample);
                } else if sample.failed() && away {
                    aftermath.excused += 1;
                } else if sample.failed() {
                    aftermath.failed.push(sample);
                }
            }
        }
        aftermath
    }

    /// A command of an operator.
    pub(super) fn command(&self, args: &[&str]) -> Cli {
        let run = Cli::new(args).config(self.edges[0].provider.config());
        run.store(&self.keys.url()).any_stdout().any_stderr()
    }
}

impl Edge {
    async fn start(
        name: &str,
        config: &str,
        keys: &mut Keys,
        certificate: Option<Certificate>,
    ) -> Self {
        let mut url = keys.url();
        let mut store = None;
        if url.starts_with("redis://") {
            let link = Link::to(([127, 0, 0, 1], keys.primary().port()).into()).await;
            url = format!("redis://{}", link.address());
            store = Some(link);
        }
        let flags = certificate.iter().flat_map(Certificate::flags);
        let options = provider::Options::new(config, &url);
        let options = flags.fold(options, |options, flag| options.arg(&flag));
        let provider = options.start().await;
        let polls = Link::to(provider.address()).await;
        let scheme = certificate.as_ref().map_or("http", |_| "https");
        let endpoint = format!("{scheme}://{}/traefik", polls.address());
        let traefik = Options::recommended(&endpoint, name)
            .arg("--providers.http.tls.insecureSkipVerify=true")
            .start()
            .await;
        traefik.wait_for(HOSTS[0], "blue").await;
        Self {
            traefik,
            provider,
            polls,
            certificate,
            store,
        }
    }

    pub(super) fn certificate(&self) -> &Certificate {
        self.certificate.as_ref().expect("it speaks TLS")
    }

    /// One more Traefik over the same link, with a poll that is held for long.
    pub(super) async fn guest(&self) -> Traefik {
        let endpoint = format!("http://{}/traefik", self.polls.address());
        let guest = Options::recommended(&endpoint, GUEST)
            .header("Prefer", "wait=50")
            .poll_timeout("60s")
            .start()
            .await;
        let instance = self.provider.instance_has(GUEST, "held", true).await;
        assert_eq!(instance["hold"], 50.0);
        guest
    }

    /// Waits until that one has come back and routes to this color. It is waited for all the time.
    pub(super) async fn has_back(&self, guest: &Traefik, color: &str) {
        eventually("the guest comes back", BOUND, async || {
            let instance = self.provider.instance(GUEST).await;
            assert_eq!(instance["counts"], true, "it is waited for");
            if instance["held"] == true && instance["confirmed"] == true {
                Ok(())
            } else {
                Err(instance)
            }
        })
        .await;
        guest.wait_for(HOSTS[0], color).await;
    }

    pub(super) fn store(&self) -> &Link {
        self.store.as_ref().expect("it is one server")
    }

    /// Waits until the provider serves this color, whatever the key says.
    pub(super) async fn serves(&self, color: &str) {
        let what = format!("the provider serves {color}");
        eventually(&what, BOUND, async || {
            let status = self.status().await?;
            if status["stacks"]["deals"]["traffic"] == *color {
                Ok(())
            } else {
                Err(status.to_string())
            }
        })
        .await;
    }

    /// What the provider says of itself.
    async fn status(&self) -> Result<Value, String> {
        let address = self.provider.address();
        let mut connection = match self.certificate {
            Some(_) => Connection::open_tls(address).await?.0,
            None => Connection::open(address).await?,
        };
        let status = connection.get("localhost", "/status", &[]).await?;
        Ok(status.json())
    }

    async fn load(&self) -> load::Running {
        let load = Load::on(self.traefik.web()).hosts(&HOSTS).connections(1);
        load.pause(Duration::from_millis(4)).start().await
    }

    /// Whether the provider follows the store and serves this color, its Traefik has confirmed it, and routes by it.
    async fn has(&self, name: &str, color: &str) -> Result<(), String> {
        let status = self.status().await?;
        let stack = &status["stacks"]["deals"];
        let instances = status["instances"].as_array();
        let confirmed = instances.is_some_and(|instances| {
            let mut named = instances.iter().filter(|instance| instance["id"] == *name);
            named.any(|instance| instance["confirmed"] == true)
        });
        if stack["traffic"] != *color
            || !stack["problem"].is_null()
            || status["store"]["connected"] != true
            || !confirmed
        {
            return Err(status.to_string());
        }
        for host in HOSTS {
            let answer = crate::support::http::get(self.traefik.web(), host, "/", &[]).await?;
            if answer.color() != Some(color) {
                return Err(format!("{host} answers {answer:?}"));
            }
        }
        Ok(())
    }
}
