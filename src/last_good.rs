//! The last good traffic on disk, so that a provider that starts while the store is away serves what it served.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// The file in the state directory.
const FILE: &str = "traffic.json";

/// The traffic of one stack as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The traffic value.
    pub traffic: String,
    /// Whether the key had never been set, so that this is the first color and nobody's choice.
    #[serde(default)]
    pub default: bool,
    /// Since when it has been in force.
    pub since: jiff::Timestamp,
    /// Who set it.
    #[serde(default)]
    pub by: String,
}

/// The file that keeps the last good traffic.
#[derive(Clone, Debug)]
pub struct LastGood {
    path: PathBuf,
}

impl LastGood {
    /// The file in this state directory.
    pub fn in_dir(state_dir: &Path) -> Self {
        Self {
            path: state_dir.join(FILE),
        }
    }

    /// What was kept, by stack. A file that does not exist holds nothing.
    ///
    /// # Errors
    ///
    /// Where the file can't be read or was damaged.
    pub fn load(&self) -> io::Result<BTreeMap<String, Kept>> {
        match fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                let message = format!("{} is damaged: {error}", self.path.display());
                io::Error::new(ErrorKind::InvalidData, message)
            }),
            // Where the folder is none, nothing is in it.
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                Ok(BTreeMap::new())
            }
            Err(error) => Err(error),
        }
    }

    /// Keeps this traffic, in a state directory that is made where it does not exist. A crash at any moment leaves the old file or the new one, whole.
    ///
    /// # Errors
    ///
    /// Where the file can't be written, such as on a full disk.
    pub fn save(&self, traffic: &BTreeMap<String, Kept>) -> io::Result<()> {
        let bytes = serde_json::to_vec_pretty(traffic)?;
        if let Some(dir) = self.path.parent() {
            fs::create_dir_all(dir)?;
        }
        write_atomically(&self.path, &bytes)
    }
}

/// After a failure the disk is tried again so often: what is on it is wrong meanwhile.
const RETRY: Duration = Duration::from_secs(1);

/// Keeps on disk what is to be there, whenever it changes, until nobody tells any more. A disk that fails is logged
/// once, unless it has `failed` before, and tried again at the next change and every second.
pub async fn keep(
    file: LastGood,
    mut told: watch::Receiver<BTreeMap<String, Kept>>,
    mut failed: bool,
    errors: impl Fn(),
) {
    loop {
        let last = tokio::select! {
            changed = told.changed() => changed.is_err(),
            () = tokio::time::sleep(RETRY), if failed => false,
        };
        let kept = told.borrow_and_update().clone();
        if last && !failed {
            return;
        }
        // Where nothing is known yet, nothing is wrong on disk.
        if kept.is_empty() {
            if last {
                return;
            }
            continue;
        }
        let file = file.clone();
        let saved = tokio::task::spawn_blocking(move || file.save(&kept)).await;
        match saved.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
            Ok(()) if std::mem::take(&mut failed) => {
                tracing::info!("the last good traffic is on disk again")
            }
            Ok(()) => {}
            Err(error) => {
                errors();
                if !std::mem::replace(&mut failed, true) {
                    tracing::error!(%error, "the last good traffic can't be written to the state directory");
                }
            }
        }
        if last {
            return;
        }
    }
}

/// Writes a file that is readable by its owner only, so that it is there whole or not at all.
///
/// # Errors
///
/// Where the folder can't be written to.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_atomically_as(path, bytes, |_| Ok(()))
}

/// The same, and has something done to the file before it is there, such as giving it to somebody else.
///
/// # Errors
///
/// Where the folder can't be written to, or that can't be done.
pub fn write_atomically_as(
    path: &Path,
    bytes: &[u8],
    prepare: impl FnOnce(&fs::File) -> io::Result<()>,
) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(bytes)?;
    prepare(file.as_file())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    // The rename itself is durable only once the folder is.
    fs::File::open(dir)?.sync_all()
}
