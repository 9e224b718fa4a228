//! Sources: the files that are read, and what each of them is.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::Problem;
use super::variables::{Values, dotenv};
use crate::config;

/// The largest file that is read, in bytes: far more than any compose file has.
const MAX_SIZE: u64 = 4 << 20;

/// A file, and what it is.
#[derive(Debug)]
pub(super) struct Source {
    /// As it was named.
    pub(super) path: PathBuf,
    /// What it says.
    pub(super) root: Map<String, Value>,
    /// What kind of file it is.
    pub(super) kind: Kind,
    /// The variables of the `.env` beside it, which compose reads.
    pub(super) values: Values,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A compose file.
    Compose,
    /// Dynamic configuration for Traefik's file provider.
    Dynamic,
    /// Traefik's own configuration: entrypoints and providers.
    Static,
}

impl Source {
    /// Reads a file.
    pub(super) fn read(path: &Path) -> Result<Self, Problem> {
        let shown = path.display();
        let root = match config::foreign(path, text(path)?) {
            Ok(Value::Object(root)) => root,
            Ok(_) => {
                return Err(Problem::new(format!("{shown}: this is no mapping"))
                    .hint("give a compose file, or a YAML file of Traefik's"));
            }
            Err(report) => {
                return Err(Problem {
                    message: format!("{shown}: this file can't be read as YAML"),
                    details: Vec::new(),
                    hint: None,
                    report: Some(report),
                });
            }
        };
        let has = |keys: &[&str]| keys.iter().any(|key| root.get(*key).is_some());
        let kind = if root.get("services").is_some_and(Value::is_object) {
            Kind::Compose
        } else if has(&["http", "tcp", "udp", "tls"]) {
            Kind::Dynamic
        } else if has(&["entryPoints", "entrypoints", "providers"]) {
            Kind::Static
        } else if has(&["stacks"]) {
            return Err(Problem::new(format!("{shown} is a bluegreen.yml already"))
                .hint("check it with `bluegreen check`"));
        } else {
            let message =
                format!("{shown} is neither a compose file nor a configuration of Traefik's");
            let hint = "a compose file has `services:`, a dynamic file of Traefik's has `http:`";
            return Err(Problem::new(message).hint(hint));
        };
        let beside = path.with_file_name(".env");
        let values = std::fs::read_to_string(beside).map_or_else(|_| Values::new(), |t| dotenv(&t));
        Ok(Self {
            path: path.to_owned(),
            root,
            kind,
            values,
        })
    }

    /// Its name without the folders, for notes.
    pub(super) fn name(&self) -> String {
        name(&self.path)
    }
}

/// The name of a file without its folders.
pub(super) fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// The text of a file.
pub(super) fn text(path: &Path) -> Result<String, Problem> {
    let unread =
        |reason: String| Problem::new(format!("{} can't be read: {reason}", path.display()));
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_SIZE + 1).read_to_end(&mut bytes))
        .map_err(|error| unread(error.to_string()))?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(unread(format!("it is larger than {} MiB", MAX_SIZE >> 20)));
    }
    let text = String::from_utf8(bytes).map_err(|_| unread("it is not UTF-8 text".to_owned()))?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}
