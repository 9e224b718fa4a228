//! Where the commands of a config run.

use std::path::PathBuf;

/// Where the commands of a config run, and what a `bluegreen` that they call works with.
#[derive(Clone, Debug)]
pub struct Place {
    /// The folder of the config, in which they run.
    pub folder: PathBuf,
    /// The config file or folder, by its absolute path.
    pub config: PathBuf,
    /// The store's URL; none where it has a secret in it. They have that from the environment, or not at all.
    pub store: Option<String>,
}
