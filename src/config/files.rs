//! The files of a config: one, or all `*.yml` of a folder.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::findings::Source;
use super::report::{Mistake, Place, Severity};

/// The largest file that is read, in bytes; a thousand services take a tenth of it.
const MAX_SIZE: u64 = 4 << 20;

/// Reads the file, or the files of the folder in the order of their names; tells of those that can't be read.
pub(super) fn read(path: &Path) -> (Vec<Source>, Vec<Mistake>) {
    let mut mistakes = Vec::new();
    let files = if path.is_dir() {
        list(path, &mut mistakes)
    } else {
        vec![path.to_owned()]
    };
    let mut sources = Vec::new();
    for path in files {
        match text(&path) {
            Ok(text) => sources.push(Source { path, text }),
            Err((message, hint)) => mistakes.push(mistake(Severity::Error, &path, message, hint)),
        }
    }
    (sources, mistakes)
}

/// The `*.yml` of a folder that are not hidden; a link to nothing is among them, so that it is told of.
fn list(folder: &Path, mistakes: &mut Vec<Mistake>) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
    let mut paths: Vec<PathBuf> = match entries {
        Ok(entries) => entries.into_iter().map(|entry| entry.path()).collect(),
        Err(error) => {
            let message = format!("the folder can't be read: {error}");
            let hint = "give the user that bluegreen runs as the right to list it";
            mistakes.push(mistake(Severity::Error, folder, message, hint));
            return Vec::new();
        }
    };
    paths.retain(|path| {
        let hidden = path
            .file_name()
            .is_none_or(|n| n.as_encoded_bytes().starts_with(b"."));
        !hidden && path.metadata().map_or(true, |metadata| metadata.is_file())
    });
    paths.sort();
    let has = |path: &PathBuf, extension: &str| path.extension().is_some_and(|e| e == extension);
    for path in paths.iter().filter(|path| has(path, "yaml")) {
        let message = "this file is not read: its name does not end with `.yml`".to_owned();
        mistakes.push(mistake(
            Severity::Warning,
            path,
            message,
            "rename it, or move it away",
        ));
    }
    paths.retain(|path| has(path, "yml"));
    if paths.is_empty() {
        let message = "the folder has no `*.yml`".to_owned();
        let hint = "put a config file into it, or name a file; examples/bluegreen.yml is one to begin with";
        mistakes.push(mistake(Severity::Error, folder, message, hint));
    }
    paths
}

/// The text of a file, or what is wrong with it and what to do.
fn text(path: &Path) -> Result<String, (String, &'static str)> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_SIZE + 1).read_to_end(&mut bytes))
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => (
                "the config file does not exist".to_owned(),
                "name it with `--config`; examples/bluegreen.yml is one to begin with",
            ),
            _ => (
                format!("the config file can't be read: {error}"),
                "give the user that bluegreen runs as the right to read it",
            ),
        })?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err((
            format!("the config file is larger than {} MiB", MAX_SIZE >> 20),
            "check that it is the right file; a folder of several files can hold more",
        ));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        (
            format!("the config file is not UTF-8 text, first on line {line}"),
            "save it as UTF-8",
        )
    })?;
    // A byte order mark is no part of the first line.
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

fn mistake(severity: Severity, file: &Path, message: String, hint: &str) -> Mistake {
    Mistake {
        severity,
        place: Place {
            file: file.to_owned(),
            line: None,
            column: None,
            excerpt: None,
        },
        key: String::new(),
        message,
        hint: Some(hint.to_owned()),
        other: None,
    }
}
