//! Loading: from a file or a folder to a [`Config`], or to everything that is wrong with it.

use std::path::{Path, PathBuf};

use super::Config;
use super::report::Report;

/// A config that is good, and what is worth telling about it all the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The config.
    pub config: Config,
    /// What it says in vain, or what is likely not meant.
    pub warnings: Report,
}

/// Reads the config from a file, or from all `*.yml` of a folder; `env` gives the values for `${NAME}`.
///
/// # Errors
///
/// Every mistake that was found, and the warnings.
pub fn load(_path: &Path, _env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Report> {
    Err(Report::default())
}

/// Reads the config from the texts of files; what [`load`] does after it has read them.
///
/// # Errors
///
/// Every mistake that was found, and the warnings.
pub fn parse(
    _files: Vec<(PathBuf, String)>,
    _env: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Report> {
    Err(Report::default())
}
