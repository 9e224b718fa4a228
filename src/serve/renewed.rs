//! Renewed: what is read from files that may be replaced while it is in use, such as a certificate or a token.
//!
//! New files are taken over where they are good; else the old ones stay in force, which the log and `/status` say. The
//! files are looked at rather than watched: what replaces them may be a link that is put elsewhere several folders away,
//! as by Kubernetes or certbot, or another host on the same file system, of which no watch tells.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::signal::unix::{SignalKind, signal};

/// How often the files are looked at. Those that belong together are replaced one after the other: they are read once
/// two looks in a row see the same.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The largest file with secrets that is read, in bytes: room for thousands of tokens.
const MAX_SIZE: u64 = 1 << 20;

/// A value and the files that it is read from.
pub struct Renewed<T> {
    what: &'static str,
    files: Vec<PathBuf>,
    read: Box<dyn Fn() -> io::Result<T> + Send + Sync>,
    read_first: Vec<Stamp>,
    current: ArcSwap<T>,
    refused: Mutex<Option<String>>,
}

/// What differs once a file is another one, or has been written to; none where there is no file.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

impl<T: Send + Sync + 'static> Renewed<T> {
    /// Reads it for the first time; `what` it is called in the log.
    ///
    /// # Errors
    ///
    /// Those of `read`.
    pub fn read(
        what: &'static str,
        files: Vec<PathBuf>,
        read: impl Fn() -> io::Result<T> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let read_first = files.iter().map(|file| stamp(file)).collect();
        Ok(Self {
            current: ArcSwap::from_pointee(read()?),
            read: Box::new(read),
            refused: Mutex::default(),
            what,
            files,
            read_first,
        })
    }

    /// One that comes from no file and stays as it is.
    pub fn fixed(what: &'static str, value: T) -> Self {
        let nothing = || Err(io::Error::other("it comes from no file"));
        Self {
            what,
            files: Vec::new(),
            read: Box::new(nothing),
            read_first: Vec::new(),
            current: ArcSwap::from_pointee(value),
            refused: Mutex::default(),
        }
    }

    /// The value in force.
    pub fn current(&self) -> Arc<T> {
        self.current.load_full()
    }

    /// Why the files that are there now are not in force, where they are not.
    pub fn problem(&self) -> Option<String> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let error = refused.as_ref()?;
        Some(format!(
            "the new {} is refused, the old one stays in force: {error}",
            self.what
        ))
    }

    /// Takes over new files, and reads them anew at SIGHUP; for ever.
    pub async fn follow(self: Arc<Self>) {
        let hangup = signal(SignalKind::hangup());
        let (false, Ok(mut hangup)) = (self.files.is_empty(), hangup) else {
            return std::future::pending().await;
        };
        let mut tried = self.read_first.clone();
        let mut seen = tried.clone();
        loop {
            let asked = tokio::select! {
                _ = hangup.recv() => true,
                () = tokio::time::sleep(LOOK_EVERY) => false,
            };
            // A file system of another host may take its time.
            let files = self.files.clone();
            let look = move || files.iter().map(|file| stamp(file)).collect();
            let Ok(now) = tokio::task::spawn_blocking(look).await else {
                continue;
            };
            let calm = now == seen;
            seen = now;
            if asked || (calm && seen != tried) {
                tried.clone_from(&seen);
                let this = Arc::clone(&self);
                tokio::task::spawn_blocking(move || this.renew()).await.ok();
            }
        }
    }

    fn renew(&self) {
        let refused = match (self.read)() {
            Ok(value) => {
                self.current.store(Arc::new(value));
                tracing::info!("the new {} is in force", self.what);
                None
            }
            Err(error) => Some(error.to_string()),
        };
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = refused;
        if let Some(problem) = self.problem() {
            tracing::error!("{problem}");
        }
    }
}

/// The value itself is not shown: it may be a secret.
impl<T> fmt::Debug for Renewed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Renewed({})", self.what)
    }
}

/// The text of a file that nobody else should read; says so where others can.
///
/// # Errors
///
/// Where it can't be read; the file is named.
pub(super) fn secret(file: &Path) -> io::Result<String> {
    let failed =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", file.display()));
    let mut text = String::new();
    let mut opened = File::open(file).map_err(failed)?.take(MAX_SIZE + 1);
    opened.read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_SIZE {
        let error = format!("it is larger than {} KiB", MAX_SIZE >> 10);
        return Err(failed(io::Error::other(error)));
    }
    let others_read = |metadata: fs::Metadata| metadata.mode() & 0o004 != 0;
    if fs::metadata(file).is_ok_and(others_read) {
        let file = file.display();
        tracing::warn!("every user of this host can read {file}: `chmod o-r {file}` changes that");
    }
    Ok(text)
}

fn stamp(file: &Path) -> Stamp {
    let is = fs::metadata(file).ok()?;
    Some((is.dev(), is.ino(), is.size(), is.ctime(), is.ctime_nsec()))
}
