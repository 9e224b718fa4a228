//! Init: a bluegreen.yml from what is there already, compose files and Traefik's own.
//!
//! Each file is read as what it is (`source`): a compose file (`compose`, with `extends`, `ports` and `labels`), a
//! dynamic file (`traefik`) or Traefik's own configuration (`edge`). The services of the compose files are sorted by
//! name and color (`stacks`, `colors`); `matching` brings the routers to them (`target`, `verbatim`, `names`), and
//! `middlewares` what those need; `rules` is how Traefik 3 writes what Traefik 2 took. That makes a `draft`, which is written (`write`, `yaml`) and checked as any config is; what would be refused is taken
//! out of it again, and told (`repair`).

mod colors;
mod compose;
mod draft;
mod edge;
mod extends;
mod labels;
mod matching;
mod middlewares;
mod names;
mod ports;
mod repair;
mod rules;
mod source;
mod stacks;
mod target;
mod traefik;
mod variables;
mod verbatim;
mod write;
mod yaml;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::color::Color;
use crate::config::{self, Config, Loaded, Report, Severity};
use compose::Compose;
use draft::{Draft, Said};
use edge::Edge;
use matching::Matching;
use source::{Kind, Source};
use stacks::Groups;
use traefik::Dynamic;

/// How often a draft is mended; each time it is smaller.
const REPAIRS: usize = 500;

/// What is worth telling, once each.
#[derive(Debug, Default)]
pub(crate) struct Notes(Vec<String>);

impl Notes {
    fn add(&mut self, note: String) {
        if !self.0.contains(&note) {
            self.0.push(note);
        }
    }
}

/// Why there is no bluegreen.yml.
#[derive(Debug)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// What there is to say of it in lines of their own.
    pub details: Vec<String>,
    /// What to do.
    pub hint: Option<String>,
    /// Where it is wrong, if it is a file's YAML.
    pub report: Option<Report>,
}

impl Problem {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            details: Vec::new(),
            hint: None,
            report: None,
        }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A bluegreen.yml, and what to know of it.
#[derive(Debug)]
pub struct Written {
    /// Its text; it passes every check.
    pub text: String,
    /// What it says.
    pub config: Config,
    /// What was found, left out or guessed.
    pub notes: Vec<String>,
    /// The lines that say what was not found, with their numbers.
    pub unknown: Vec<(usize, String)>,
    /// The variables to set where bluegreen serves a Traefik in a container.
    pub variables: Vec<(String, String)>,
    /// The dynamic files, whose routers it takes the place of.
    pub dynamics: Vec<PathBuf>,
    /// Whether labels were found, whose routers it takes the place of.
    pub labelled: bool,
    /// Whether Traefik polls an HTTP provider already.
    pub polls: bool,
    /// Whether Traefik runs in a container.
    pub in_container: bool,
}

/// Makes a bluegreen.yml from files, for these colors; `stack` is the name of its stack, where it is given.
///
/// # Errors
///
/// A file that can't be read, or that there is nothing to switch.
pub fn init(files: &[PathBuf], colors: &[Color], stack: Option<&str>) -> Result<Written, Problem> {
    let mut notes = Notes::default();
    let (mut composes, mut dynamics, mut edge) = (Vec::new(), Vec::new(), Edge::default());
    let mut paths = Vec::new();
    for path in files {
        let source = Source::read(path)?;
        match source.kind {
            Kind::Compose => composes.push(Compose::read(&source, &mut notes)),
            Kind::Dynamic => {
                paths.push(path.clone());
                dynamics.push(Dynamic::read(&source, &mut notes));
            }
            Kind::Static => edge.add_static(&source),
        }
    }
    if let Some(name) = stack.filter(|name| name.is_empty() || names::valid_name(name) != **name) {
        return Err(Problem::new(format!("--stack: `{name}` can't be a name"))
            .hint("letters, digits, `-`, `_` and `.` make a name"));
    }
    let name = match stack {
        Some(name) => Said::plain(name),
        None => stack_name(files, &composes, colors),
    };
    let groups = Groups::of(composes, colors, &mut edge, &mut notes);
    let mut draft = Draft {
        stack: name,
        colors: colors.to_vec(),
        containers: groups.projects.clone(),
        marker: edge.marker().map(|(name, port)| (name.to_owned(), port)),
        ..Draft::default()
    };
    let projects: Vec<_> = groups.projects.values().collect();
    let same = projects
        .iter()
        .enumerate()
        .any(|(i, name)| projects[..i].contains(name));
    if groups.together || same {
        let unsure = "the colors are in one file or one compose project; give each its own";
        draft.containers_unsure = Some(unsure.to_owned());
    }
    let stack = draft.stack.value.clone();
    let mut variables = Matching {
        colors,
        stack: &stack,
        groups: &groups,
        edge: &edge,
        dynamics: &dynamics,
        notes: &mut notes,
    }
    .services(&mut draft);
    middlewares::take_over(&mut draft, &groups, &mut notes);
    rules::translate(&mut draft, &mut notes);
    entry_points(&mut draft, &edge);
    let main = draft.entry_points.first().cloned();
    let main = main.or_else(|| edge.main().map(ToOwned::to_owned));
    draft.production = main
        .and_then(|name| edge.production(&name))
        .map(Said::plain);
    plain_names(&mut draft);
    if !variables.is_empty() {
        draft.servers = vec![
            "As this host reaches them. A Traefik in a container reaches them by the names beside them: set the variables"
                .to_owned(),
            "to these where bluegreen serves such a one.".to_owned(),
        ];
    }
    let (text, config) = checked(&mut draft, &listed(files), &mut notes)?;
    variables.retain(|(name, _)| text.contains(&format!("${{{name}:-")));
    let unknown = text
        .lines()
        .enumerate()
        .filter(|(at, line)| *at > 1 && line.contains(write::UNKNOWN));
    let unknown = unknown
        .map(|(at, line)| (at + 1, line.trim().to_owned()))
        .collect();
    let labelled = groups.colored.values().flat_map(BTreeMap::values);
    let labelled = labelled
        .map(labels::Labels::of)
        .any(|labels| !labels.routes.is_empty());
    Ok(Written {
        text,
        config,
        notes: notes.0,
        unknown,
        variables,
        dynamics: paths,
        labelled,
        polls: edge.polls,
        in_container: edge.in_container,
    })
}

/// The text of the draft, after what would be refused is out of it.
fn checked(draft: &mut Draft, files: &str, notes: &mut Notes) -> Result<(String, Config), Problem> {
    for _ in 0..REPAIRS {
        let text = write::write(draft, files);
        let path = PathBuf::from("bluegreen.yml");
        let report = match config::parse(vec![(path, text.clone())], &|_| None) {
            Ok(Loaded { config, .. }) => return Ok((text, config)),
            Err(report) => report,
        };
        let first = report
            .mistakes()
            .iter()
            .find(|mistake| mistake.severity == Severity::Error);
        let mended = first.is_some_and(|mistake| repair::repair(draft, mistake, notes));
        if draft.on().next().is_none() {
            return Err(nothing(draft, notes));
        }
        if !mended {
            return Err(Problem {
                message: "these files make no config that `bluegreen check` would take".to_owned(),
                details: Vec::new(),
                hint: Some(
                    "take what is told above out of a copy of them, and try that".to_owned(),
                ),
                report: Some(report),
            });
        }
    }
    Err(Problem::new("these files have too many mistakes"))
}

/// The entrypoints that all services have are those of the stack.
fn entry_points(draft: &mut Draft, edge: &Edge) {
    let all: Vec<_> = draft
        .on()
        .map(|service| service.entry_points.clone())
        .collect();
    let first = all.first().cloned().unwrap_or_default();
    if all.iter().any(|entry_points| *entry_points != first) {
        return;
    }
    for service in &mut draft.services {
        service.entry_points.clear();
    }
    draft.entry_points = match first.is_empty() {
        true => edge.main().map(ToOwned::to_owned).into_iter().collect(),
        false => first,
    };
}

/// What is copied is no longer that of Traefik's file provider.
fn plain_names(draft: &mut Draft) {
    fn plain(value: &mut Value, refers: bool) {
        match value {
            Value::String(name) if refers => {
                if let Some(plain) = name.strip_suffix("@file") {
                    *name = plain.to_owned();
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| plain(value, refers)),
            Value::Object(map) => {
                for (key, value) in map {
                    let refers = ["middlewares", "service", "serversTransport", "options"];
                    plain(
                        value,
                        refers.iter().any(|name| name.eq_ignore_ascii_case(key)),
                    );
                }
            }
            _ => {}
        }
    }
    draft
        .traefik
        .values_mut()
        .for_each(|value| plain(value, false));
    for service in &mut draft.services {
        for fields in [&mut service.router, &mut service.load_balancer] {
            let mut value = Value::Object(std::mem::take(fields));
            plain(&mut value, false);
            if let Value::Object(map) = value {
                *fields = map;
            }
        }
    }
}

/// The name of the stack: that of the compose projects or of the folder, without a color.
fn stack_name(files: &[PathBuf], composes: &[Compose], colors: &[Color]) -> Said {
    let without = |name: &str| {
        let base = colors::of_name(name, colors).map_or_else(|| name.to_owned(), |(_, base)| base);
        let name = names::valid_name(&base);
        (!name.is_empty() && !name.starts_with('.')).then_some(name)
    };
    let project = composes.iter().find_map(|compose| {
        let project = compose
            .project
            .as_deref()
            .filter(|project| !project.contains('$'))?;
        without(project)
    });
    let folders = files.iter().filter_map(|file| {
        let folder = file.canonicalize().ok()?;
        folder
            .ancestors()
            .skip(1)
            .find_map(|folder| without(&folder.file_name()?.to_string_lossy()))
    });
    match project {
        Some(project) => Said::plain(project),
        None => {
            let name = folders
                .into_iter()
                .next()
                .unwrap_or_else(|| "stack".to_owned());
            Said::with(name, "the name of the folder; any other will do")
        }
    }
}

/// There is nothing to switch, and why.
fn nothing(draft: &Draft, notes: &Notes) -> Problem {
    let colors: Vec<_> = draft.colors.iter().map(|color| color.as_str()).collect();
    let message = format!(
        "nothing to switch was found: no service is in all of {}",
        colors.join(", ")
    );
    let off = draft
        .services
        .iter()
        .filter_map(|s| Some(format!("`{}`: {}", s.name, s.off.as_ref()?)));
    let mut told: Vec<String> = off.collect();
    told.extend(
        notes
            .0
            .iter()
            .filter(|note| note.contains("left out"))
            .cloned(),
    );
    let problem = Problem {
        details: told,
        ..Problem::new(message)
    };
    problem.hint(
        "name files or services after their color, such as compose.blue.yml or api-blue; other colors are given with --colors a,b",
    )
}

fn listed(files: &[PathBuf]) -> String {
    let names: Vec<_> = files.iter().map(|path: &PathBuf| shown(path)).collect();
    names.join(", ")
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
