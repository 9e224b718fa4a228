//! Loading: from a file or a folder to a [`Config`], or to everything that is wrong with it.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::findings::{Findings, Source};
use super::node::Node;
use super::path::Path as KeyPath;
use super::raw::RawConfig;
use super::report::{Mistake, Report};
use super::resolve::{Resolver, resolve};
use super::{Config, files, json_schema, merge, shape, tree};

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
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Report> {
    let (sources, unread) = files::read(path);
    read(&sources, unread, env)
}

/// Reads the config from the texts of files; what [`load`] does after it has read them.
///
/// # Errors
///
/// Every mistake that was found, and the warnings.
pub fn parse(
    files: Vec<(PathBuf, String)>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Report> {
    let sources: Vec<Source> = files
        .into_iter()
        .map(|(path, text)| Source { path, text })
        .collect();
    read(&sources, Vec::new(), env)
}

/// Reads a YAML file that is no config of ours, such as a compose file; its variables stay as they are written.
///
/// # Errors
///
/// Why it is not YAML, or which key it gives twice.
pub(crate) fn foreign(path: &Path, text: String) -> Result<Value, Report> {
    let sources = [Source {
        path: path.to_owned(),
        text,
    }];
    let mut findings = Findings::default();
    let tree = tree::read(&sources, 0, None, &mut findings);
    match tree {
        Some(tree) if findings.errors() == 0 => Ok(tree.to_value()),
        _ => Err(findings.into_report(&sources)),
    }
}

/// Reads the sources; `unread` is what is known about files that are none.
fn read(
    sources: &[Source],
    unread: Vec<Mistake>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Report> {
    let mut findings = Findings::default();
    let trees: Vec<_> = (0..sources.len())
        .filter_map(|source| tree::read(sources, source, Some(env), &mut findings))
        .collect();
    let complete = trees.len() == sources.len() && !unread.iter().any(Mistake::is_error);
    let config = merge::merge(trees, &mut findings)
        .and_then(|tree| checked(&tree, sources, complete, &mut findings));
    let mut report = findings.into_report(sources);
    report.add(unread);
    match config {
        Some(config) if !report.has_errors() => Ok(Loaded {
            config,
            warnings: report,
        }),
        _ => Err(report),
    }
}

/// The config that a tree makes, as far as it is readable.
fn checked(
    written: &Node,
    sources: &[Source],
    complete: bool,
    findings: &mut Findings,
) -> Option<Config> {
    let lenient = written
        .get("lenient")
        .is_some_and(|entry| entry.node.to_value() == Value::Bool(true));
    let tree = shape::check(written, &json_schema(), lenient, findings)?;
    match RawConfig::deserialize(tree.to_value()) {
        Ok(raw) => {
            let mut resolver = Resolver {
                tree: &tree,
                written,
                sources,
                findings,
            };
            Some(resolve(raw, complete, &mut resolver))
        }
        Err(error) => {
            findings.error(tree.span, &KeyPath::default(), error.to_string());
            None
        }
    }
}
