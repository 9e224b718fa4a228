//! `serve`: the endpoint that Traefik's HTTP provider polls.
//!
//! - [`run`]: the lifecycle, from the listener to the last answer;
//! - [`connections`]: accepting, bounds, and the way out;
//! - [`tls`]: its TLS and client certificates;
//! - [`routes`]: what is answered to what, in the forms of [`answer`];
//! - [`hold`]: how long a poll's answer is withheld;
//! - [`interval`]: when the next poll is to be expected;
//! - [`fleet`]: which instances poll, and what they have;
//! - [`marker`]: asking an instance what it has applied;
//! - [`routers`]: asking an instance which routers it has disabled;
//! - [`guard`]: looking at the servers of what a plain `SET` gives more traffic, and at its [`figures`];
//! - [`dead`]: asking for the health of servers that are left out once they are dead, and [`pulse`], what comes of it;
//! - [`reporter`]: telling the store of the fleet, and of changes from outside;
//! - [`adopter`]: watching the rollouts, and carrying on those that nobody runs;
//! - [`reload`]: taking over a changed config file;
//! - [`api`]: stacks looked at and changed from elsewhere;
//! - [`renewed`]: taking over files that are replaced, such as the certificate;
//! - [`access`], [`status`], [`metrics`]: who may look, and what there is to see.

pub mod access;
pub mod adopter;
pub mod answer;
pub mod api;
pub mod connections;
pub mod dead;
pub mod figures;
pub mod fleet;
pub mod guard;
pub mod hold;
pub mod interval;
pub mod marker;
pub mod metrics;
pub mod pulse;
pub mod reload;
pub mod renewed;
pub mod reporter;
pub mod routers;
pub mod routes;
pub mod status;
pub mod tls;

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;

use crate::certificate::Certificate;
use crate::config::Config;
use crate::dead::Dead;
use crate::last_good::{self, LastGood};
use crate::rollout::place::Place;
use crate::state::{State, Unrecorded, Writer};
use crate::store::follow::{Event, Followed, follow};
use crate::store::{Store, Unreadable};
use access::Access;
use fleet::Fleet;
use reload::NewConfig;
use renewed::Renewed;

/// After the signal to stop, a peer that does not take its answer is waited for this long.
const DRAIN_GRACE: Duration = Duration::from_secs(5);

/// What `serve` works with, resolved.
pub struct Settings {
    /// The config file or folder, to be reloaded from.
    pub config_path: PathBuf,
    /// The config.
    pub config: Config,
    /// The store.
    pub store: Store,
    /// Where the last good traffic and the default certificate are kept.
    pub state_dir: PathBuf,
    /// The hold of a poll that asks for none; where it is not given either, what its interval tells.
    pub hold: Option<Duration>,
    /// Who may do what.
    pub access: Access,
    /// TLS, where the endpoint speaks it.
    pub tls: Option<Arc<Renewed<TlsAcceptor>>>,
    /// Where commands of the config run, where it carries on the rollouts that nobody runs.
    pub rollouts: Option<Place>,
}

/// What the parts of a running provider share.
pub struct Shared {
    /// What is served.
    pub state: Arc<State>,
    /// Who polls.
    pub fleet: Arc<Fleet>,
    /// This provider, as it calls itself in the registry.
    pub provider: String,
    /// The store, for showing.
    pub store: Store,
    /// The hold of a poll that asks for none; where it is not given either, what its interval tells.
    pub hold: Option<Duration>,
    /// Who may do what.
    pub access: Access,
    /// TLS, where the endpoint speaks it.
    pub tls: Option<Arc<Renewed<TlsAcceptor>>>,
    /// The rollouts that have not ended.
    pub rollouts: watch::Sender<adopter::AllOpen>,
    /// The servers of each stack that do not answer this provider, where it asks them and knows of all.
    pub dead: watch::Sender<BTreeMap<String, Dead>>,
    /// The figures that fail of each stack whose guard goes by its analysis.
    pub figures: watch::Sender<BTreeMap<String, figures::Failing>>,
    /// Becomes true when the provider stops.
    pub stopping: watch::Sender<bool>,
    /// Polls that were answered.
    pub polls: AtomicU64,
    /// When the log was last told that a poll showed no token.
    pub refusal_told: Mutex<Option<Instant>>,
    /// Connections that are open.
    pub connections: AtomicU64,
    /// What the API shares among its requests.
    api: api::Api,
}

/// Serves on this listener until `stop` is done; then answers the polls that are held and returns once they have been
/// taken.
///
/// # Errors
///
/// Where the state directory can't be used for a default certificate that the config asks for, or a part of the
/// provider has ended that must not.
pub async fn run(
    settings: Settings,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let Settings {
        config_path,
        config,
        store,
        state_dir,
        hold,
        access,
        tls,
        rollouts,
    } = settings;
    let address = listener.local_addr()?;
    let certificate = certificate_for(&config, &state_dir)?;
    let file = LastGood::in_dir(&state_dir);
    let (on_disk, usable) = open_state_dir(&state_dir, &file);
    let writer = Writer::new(config, certificate, on_disk);
    let state = writer.state();
    let shared = Arc::new(Shared {
        state: Arc::clone(&state),
        fleet: Arc::default(),
        provider: name_of_this_provider(address),
        store: store.clone(),
        hold,
        access,
        tls,
        rollouts: watch::Sender::default(),
        dead: watch::Sender::default(),
        figures: watch::Sender::default(),
        stopping: watch::Sender::new(false),
        polls: AtomicU64::new(0),
        refusal_told: Mutex::default(),
        connections: AtomicU64::new(0),
        api: api::Api::default(),
    });

    let mut published = state.publications();
    let (follow_sender, followed) = watch::channel(writer.followed());
    let (event_sender, events) = mpsc::channel(16);
    let (outside_sender, outside) = mpsc::unbounded_channel();
    let (config_sender, configs) = mpsc::channel(1);
    let kept = writer.kept();
    let mut background = tokio::task::JoinSet::new();
    background.spawn(follow(store.clone(), followed, event_sender));
    background.spawn(reporter::report(
        Arc::clone(&shared),
        store.clone(),
        outside,
    ));
    let (seen_sender, seen) = mpsc::channel(16);
    background.spawn(guard::watch(
        Arc::clone(&shared),
        writer.held(),
        seen_sender,
    ));
    background.spawn(figures::watch(Arc::clone(&shared)));
    background.spawn(dead::watch(Arc::clone(&shared)));
    background.spawn(marker::ask_all(Arc::clone(&shared)));
    background.spawn(routers::watch(Arc::clone(&shared)));
    let mut rollouts_here = tokio::task::JoinSet::new();
    rollouts_here.spawn(adopter::watch(Arc::clone(&shared), rollouts));
    background.spawn(reload::watch(
        config_path,
        state_dir,
        Arc::clone(&state),
        config_sender,
    ));
    for tokens in shared.access.sources() {
        background.spawn(Arc::clone(tokens).follow());
    }
    if let Some(tls) = &shared.tls {
        background.spawn(Arc::clone(tls).follow());
    }
    let writer = tokio::spawn(write(
        writer,
        events,
        configs,
        seen,
        follow_sender,
        outside_sender,
    ));
    let counted = Arc::clone(&state);
    let keeper = tokio::spawn(last_good::keep(file, kept, !usable, move || {
        let errors = &counted.counters.disk_errors;
        errors.fetch_add(1, Ordering::Relaxed);
    }));

    // What the store says first decides between the key and the disk; it answers, or fails, in a second or two. The
    // polls that come before wait in the listener's queue.
    published.changed().await.ok();
    let scheme = if shared.tls.is_some() {
        "https"
    } else {
        "http"
    };
    tracing::info!(%address, provider = shared.provider, store = %shared.store, "serving at {scheme}://{address}/traefik");

    let served = tokio::select! {
        result = connections::serve(Arc::clone(&shared), listener, stop) => result,
        Some(ended) = background.join_next() => {
            Err(io::Error::other(format!("a part of the provider has ended that must not: {ended:?}")))
        }
        Some(Err(panicked)) = rollouts_here.join_next() => Err(io::Error::other(panicked)),
    };
    // Whoever carries its rollouts on is not to wait for their leases.
    shared.stopping.send_replace(true);
    let left = tokio::time::timeout(DRAIN_GRACE, rollouts_here.join_next());
    left.await.ok();
    // The writer ends with the last that tells it something, and the disk's keeper after it.
    background.shutdown().await;
    reporter::farewell(&shared, &store).await;
    writer.await.ok();
    // A disk that hangs must not hold up the end.
    tokio::time::timeout(DRAIN_GRACE, keeper).await.ok();
    served
}

/// The one writer of the state at work.
async fn write(
    mut writer: Writer,
    mut events: mpsc::Receiver<Event>,
    mut configs: mpsc::Receiver<NewConfig>,
    mut seen: mpsc::Receiver<guard::Seen>,
    followed: watch::Sender<Followed>,
    outside: mpsc::UnboundedSender<Unrecorded>,
) {
    loop {
        let mut unrecorded = Vec::new();
        tokio::select! {
            event = events.recv() => {
                let Some(event) = event else {
                    return;
                };
                unrecorded = writer.on_store(event, Instant::now());
            }
            Some((stack, verdict)) = seen.recv() => {
                unrecorded = writer.on_verdict(&stack, verdict, Instant::now());
            }
            Some(new) = configs.recv() => match new {
                NewConfig::Loaded(loaded) => writer.on_config(loaded.config, loaded.certificate),
                NewConfig::Mistaken => writer.on_mistakes(),
            },
        }
        for unrecorded in unrecorded {
            // Nobody records any more only when the provider stops.
            outside.send(unrecorded).ok();
        }
        let wanted = writer.followed();
        followed.send_if_modified(|followed| {
            let differs = *followed != wanted;
            if differs {
                *followed = wanted;
            }
            differs
        });
    }
}

/// The default certificate, where the config asks for one.
fn certificate_for(config: &Config, state_dir: &Path) -> io::Result<Option<Certificate>> {
    if !config.generated_certificate {
        return Ok(None);
    }
    std::fs::create_dir_all(state_dir)?;
    let certificate = Certificate::kept_in(state_dir).map_err(|error| {
        let dir = state_dir.display();
        io::Error::new(
            error.kind(),
            format!("`defaultCertificate: generated` keeps its certificate in the state directory {dir}: {error}"),
        )
    })?;
    Ok(Some(certificate))
}

/// What the state directory holds, by stack.
type OnDisk = Result<BTreeMap<String, last_good::Kept>, Unreadable>;

/// What the state directory holds, and whether it can be used. One that can't is no reason not to serve.
fn open_state_dir(state_dir: &Path, file: &LastGood) -> (OnDisk, bool) {
    let usable = std::fs::create_dir_all(state_dir).inspect_err(|error| {
        tracing::error!(
            %error,
            "the state directory {} can't be used: until it can, the last good traffic is kept in memory only",
            state_dir.display()
        );
    });
    let on_disk = file.load().map_err(|error| {
        tracing::error!(%error, "the last good traffic on disk can't be read and is not used");
        Unreadable(error.to_string())
    });
    (on_disk, usable.is_ok())
}

/// `host:port/` and a part that differs with each start, so that a new provider is not taken for the one before it.
fn name_of_this_provider(address: SocketAddr) -> String {
    format!(
        "{}:{}/{:08x}",
        crate::history::host(),
        address.port(),
        fastrand::u32(..)
    )
}
