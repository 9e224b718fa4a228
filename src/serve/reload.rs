//! Reload: a config file that changed is taken over; one with a mistake is refused, and the running config stays.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::certificate_for;
use crate::certificate::Certificate;
use crate::config::{self, Config};
use crate::secret;
use crate::state::State;
use crate::store::file::is_change;

/// An editor writes a file in several steps; they are over by then.
const SETTLE: Duration = Duration::from_millis(50);

/// What a config file has become.
pub enum NewConfig {
    /// A config to take over.
    Loaded(Loaded),
    /// It has mistakes.
    Mistaken,
}

/// A config to take over.
pub struct Loaded {
    /// The config.
    pub config: Config,
    /// The default certificate, where it asks for one.
    pub certificate: Option<Certificate>,
}

/// Watches the file or folder, and SIGHUP, for as long as somebody takes the configs.
pub async fn watch(
    path: PathBuf,
    state_dir: PathBuf,
    state: Arc<State>,
    configs: mpsc::Sender<NewConfig>,
) {
    let (sender, mut events) = mpsc::unbounded_channel();
    let _watcher = watcher(&path, sender).inspect_err(|error| {
        tracing::warn!(%error, "the config can't be watched: send SIGHUP after a change");
    });
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(error) => {
            tracing::error!(%error, "SIGHUP can't be listened for");
            return;
        }
    };
    let mut last = Arc::clone(&state.serving().config);
    let mut refused = None;
    while !configs.is_closed() {
        let asked = tokio::select! {
            Some(()) = events.recv() => false,
            _ = hangup.recv() => true,
            () = configs.closed() => return,
        };
        tokio::time::sleep(SETTLE).await;
        while events.try_recv().is_ok() {}
        let (path, dir) = (path.clone(), state_dir.clone());
        let loaded = tokio::task::spawn_blocking(move || load(&path, &dir)).await;
        match loaded.unwrap_or_else(|panic| Err(panic.to_string())) {
            // One that is not in force yet, because a color that it no longer names had traffic, is tried again for
            // whoever asks.
            Ok(loaded)
                if loaded.config == *last
                    && refused.is_none()
                    && (!asked || loaded.config == *state.serving().config) =>
            {
                if asked {
                    tracing::info!("the config is the same as before");
                }
            }
            Ok(loaded) => {
                refused = None;
                last = Arc::new(loaded.config.clone());
                if configs.send(NewConfig::Loaded(loaded)).await.is_err() {
                    return;
                }
            }
            Err(report) if !asked && refused.as_ref() == Some(&report) => {}
            Err(report) => {
                state
                    .counters
                    .refused_reloads
                    .fetch_add(1, Ordering::Relaxed);
                tracing::error!("the new config is refused, the old one stays in force:\n{report}");
                refused = Some(report);
                if configs.send(NewConfig::Mistaken).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Loads the config; an error is the whole report, for the log.
fn load(path: &Path, state_dir: &Path) -> Result<Loaded, String> {
    let loaded = config::load(path, &secret::variable).map_err(|report| report.render(false))?;
    if !loaded.warnings.is_empty() {
        tracing::warn!("about the new config:\n{}", loaded.warnings.render(false));
    }
    let certificate =
        certificate_for(&loaded.config, state_dir).map_err(|error| error.to_string())?;
    Ok(Loaded {
        config: loaded.config,
        certificate,
    })
}

/// Watches the folder, because editors and orchestrators replace files rather than write them.
fn watcher(path: &Path, sender: mpsc::UnboundedSender<()>) -> notify::Result<RecommendedWatcher> {
    let file = path
        .file_name()
        .filter(|_| !path.is_dir())
        .map(ToOwned::to_owned);
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let folder = if file.is_some() { parent } else { path };
    let of_config = move |changed: &PathBuf| match (&file, changed.file_name()) {
        // Kubernetes swaps a whole folder behind this link.
        (_, Some(name)) if name == "..data" => true,
        (Some(file), name) => name == Some(file.as_os_str()),
        (None, _) => changed
            .extension()
            .is_some_and(|extension| extension == "yml"),
    };
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.is_ok_and(|event| is_change(event.kind) && event.paths.iter().any(&of_config)) {
            // Nobody listens any more only when the provider stops.
            sender.send(()).ok();
        }
    })?;
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}
