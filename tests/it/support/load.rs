//! Constant load through Traefik, with every single answer on record.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::eventually;
use super::http::Connection;

/// More requests than any test needs; the load ends by itself after them.
const MAX_REQUESTS: usize = 200_000;

/// Longer than any test runs; the load ends by itself then.
const MAX_TIME: Duration = Duration::from_secs(120);

/// The load that is put on one address.
///
/// ```ignore
/// let load = Load::on(traefik.web()).hosts(&["api.localhost", "mcp.localhost"]).start().await;
/// // ... flip, kill, restart ...
/// let report = load.stop().await;
/// report.assert_no_failures();
/// ```
#[derive(Clone)]
pub(crate) struct Load {
    address: SocketAddr,
    hosts: Vec<String>,
    path: String,
    connections: usize,
    pause: Duration,
}

impl Load {
    pub(crate) fn on(address: SocketAddr) -> Self {
        let hosts = vec!["api.localhost".into()];
        Self {
            address,
            hosts,
            path: "/".into(),
            connections: 2,
            pause: Duration::from_millis(2),
        }
    }

    pub(crate) fn hosts(mut self, hosts: &[&str]) -> Self {
        self.hosts = hosts.iter().map(ToString::to_string).collect();
        self
    }

    pub(crate) fn path(mut self, path: &str) -> Self {
        self.path = path.into();
        self
    }

    /// How many keep-alive connections each host gets; 2 unless told otherwise.
    pub(crate) fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// Between an answer and the next request on the same connection; 2 ms unless told otherwise.
    pub(crate) fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Starts, and returns once every host has answered, so that what the test does next happens under load.
    pub(crate) async fn start(self) -> Running {
        let mut running = Running {
            state: Arc::new(State::default()),
            clients: JoinSet::new(),
        };
        for host in &self.hosts {
            for _ in 0..self.connections {
                running.clients.spawn(client(
                    self.clone(),
                    host.clone(),
                    Arc::clone(&running.state),
                ));
            }
        }
        let clients = self.hosts.len() * self.connections;
        eventually("the load runs", Duration::from_secs(10), async || {
            let sent = running.state.sent.load(Ordering::Relaxed);
            if sent > clients {
                Ok(())
            } else {
                Err(format!("{sent} requests"))
            }
        })
        .await;
        running
    }
}

#[derive(Default)]
struct State {
    stopping: AtomicBool,
    sent: AtomicUsize,
    samples: Mutex<Vec<Sample>>,
}

async fn client(load: Load, host: String, state: Arc<State>) {
    let began = Instant::now();
    let mut connection = None;
    while !state.stopping.load(Ordering::Relaxed)
        && began.elapsed() < MAX_TIME
        && state.sent.fetch_add(1, Ordering::Relaxed) < MAX_REQUESTS
    {
        let start = Instant::now();
        let answer = async {
            if connection.is_none() {
                connection = Some(Connection::open(load.address).await?);
            }
            connection
                .as_mut()
                .expect("opened above")
                .get(&host, &load.path, &[])
                .await
        };
        let outcome = answer.await.map(|answer| Reply {
            status: answer.status,
            color: answer.color().map(str::to_owned),
        });
        if outcome.is_err() {
            connection = None;
        }
        let host = host.clone();
        {
            // The end is taken under the lock, which keeps the record in order.
            let mut samples = state.samples.lock().unwrap();
            let end = Instant::now();
            samples.push(Sample {
                host,
                start,
                end,
                outcome,
            });
        }
        tokio::time::sleep(load.pause).await;
    }
}

/// Load that is being put on; it stops when dropped.
pub(crate) struct Running {
    state: Arc<State>,
    clients: JoinSet<()>,
}

impl Running {
    /// What happened so far.
    pub(crate) fn report(&self) -> Report {
        Report {
            samples: self.state.samples.lock().unwrap().clone(),
        }
    }

    /// Waits until this many requests that began after the instant are answered.
    pub(crate) async fn goes_on(&self, after: Instant, answers: usize) {
        let what = format!("{answers} answers under load");
        eventually(&what, Duration::from_secs(10), async || {
            let samples = self.state.samples.lock().unwrap();
            // The newest are at the end, and there may be very many.
            let later = samples.iter().rev().take_while(|sample| sample.end > after);
            let later = later.filter(|sample| sample.start > after).count();
            if later >= answers { Ok(()) } else { Err(later) }
        })
        .await;
    }

    /// Waits for the first answer of this color to end after the instant, and returns how long after.
    pub(crate) async fn reaches(&self, after: Instant, color: &str) -> Duration {
        let what = format!("the load reaches {color}");
        eventually(&what, Duration::from_secs(10), async || {
            let samples = self.state.samples.lock().unwrap();
            let later = samples.iter().rev().take_while(|sample| sample.end > after);
            let first = later.filter(|sample| sample.color() == Some(color)).last();
            first
                .map(|sample| sample.end - after)
                .ok_or("other colors only")
        })
        .await
    }

    /// Ends it: what was asked is still answered.
    pub(crate) async fn stop(mut self) -> Report {
        self.state.stopping.store(true, Ordering::Relaxed);
        while let Some(ended) = self.clients.join_next().await {
            ended.unwrap();
        }
        self.report()
    }
}

/// One request, and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) host: String,
    pub(crate) start: Instant,
    pub(crate) end: Instant,
    pub(crate) outcome: Result<Reply, String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) color: Option<String>,
}

impl Sample {
    pub(crate) fn color(&self) -> Option<&str> {
        self.outcome.as_ref().ok()?.color.as_deref()
    }

    pub(crate) fn failed(&self) -> bool {
        !matches!(
            self.outcome,
            Ok(Reply {
                status: 200,
                color: Some(_)
            })
        )
    }
}

/// All answers, in the order in which they ended.
pub(crate) struct Report {
    pub(crate) samples: Vec<Sample>,
}

impl Report {
    /// No answer, an answer that is not 200, or one that no backend gave.
    pub(crate) fn failures(&self) -> Vec<&Sample> {
        self.samples
            .iter()
            .filter(|sample| sample.failed())
            .collect()
    }

    /// Answers to requests that began after the instant, and that another color gave.
    pub(crate) fn misrouted(&self, after: Instant, color: &str) -> Vec<&Sample> {
        let later = self
            .samples
            .iter()
            .filter(|sample| sample.start > after && !sample.failed());
        later
            .filter(|sample| sample.color() != Some(color))
            .collect()
    }

    /// From the instant to the end of the first answer of this color that was asked for after it.
    pub(crate) fn first(&self, after: Instant, color: &str) -> Option<Duration> {
        let mut later = self.samples.iter().filter(|sample| sample.end > after);
        let first = later.find(|sample| sample.color() == Some(color))?;
        Some(first.end - after)
    }

    #[track_caller]
    pub(crate) fn assert_no_failures(&self) {
        let (failures, all) = (self.failures(), self.samples.len());
        assert!(
            failures.is_empty(),
            "{} of {all} requests failed: {:#?}",
            failures.len(),
            first_five(&failures)
        );
    }

    #[track_caller]
    pub(crate) fn assert_all(&self, after: Instant, color: &str) {
        let (wrong, all) = (self.misrouted(after, color), self.samples.len());
        assert!(
            wrong.is_empty(),
            "{} of {all} answers not {color}: {:#?}",
            wrong.len(),
            first_five(&wrong)
        );
    }
}

fn first_five<'a>(samples: &'a [&'a Sample]) -> &'a [&'a Sample] {
    &samples[..samples.len().min(5)]
}
