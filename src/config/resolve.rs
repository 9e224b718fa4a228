//! Resolving: from what is written to the [`Config`] that travels, with every check of its meaning.
//!
//! A check is left out where what it relies on has a mistake already, so that one mistake is told once.

use std::collections::BTreeMap;

use super::analysis::analysis;
use super::check::{Around, checks, command, time};
use super::findings::{Finding, Findings, Source, Span, listed, nearest, shown};
use super::gate::gates;
use super::guard::guard;
use super::hook::hooks;
use super::node::{Content, Node};
use super::path::Path;
use super::preview::{check_header, preview};
use super::raw::{RawConfig, RawStack};
use super::service::service;
use super::{Config, Marker, Stack, address, dangling, dead, names, rule};
use crate::color::Color;
use crate::store;

/// What resolving works with: the readable tree of the config, and where it came from.
pub(super) struct Resolver<'a> {
    /// The readable part of the config.
    pub(super) tree: &'a Node,
    /// All of the config, with what could not be read.
    pub(super) written: &'a Node,
    /// The files.
    pub(super) sources: &'a [Source],
    /// The mistakes so far.
    pub(super) findings: &'a mut Findings,
}

/// Resolves a config; it is good if the findings have no errors then.
///
/// It is `complete` if every file of it could be read: else nothing is said about what seems to be missing.
pub(super) fn resolve(raw: RawConfig, complete: bool, resolver: &mut Resolver<'_>) -> Config {
    let top = Path::of(&["stacks"]);
    let mut config = Config {
        stacks: BTreeMap::new(),
        traefik: raw.traefik,
        marker: raw.marker.map(|m| Marker {
            entry_point: m.entry_point,
            port: m.port,
        }),
        generated_certificate: raw.default_certificate.is_some(),
        files: resolver.sources.iter().map(|s| s.path.clone()).collect(),
    };
    if raw.stacks.is_empty() && complete && !resolver.findings.broken(&top) {
        resolver
            .error(&top, "there is no stack")
            .hint("add one below `stacks`; examples/bluegreen.yml shows how");
    }
    if let Some(marker) = &config.marker {
        let path = Path::of(&["marker", "entryPoint"]);
        resolver.word(&path, &marker.entry_point);
    }
    let mut keys: BTreeMap<String, Path> = BTreeMap::new();
    for (name, raw) in raw.stacks {
        let path = top.key(&name);
        resolver.name(&path, &name);
        let stack = stack(raw, &path, resolver);
        // What bluegreen writes beside a key is no key for another stack.
        let written = store::written(&stack.key);
        if let Some(first) = written.iter().find_map(|key| keys.get(key)) {
            let other = resolver.tree.value_span(&first.key("key"));
            let key = resolver.shown(&path.key("key"), &stack.key);
            resolver
                .error_at_value(
                    &path.key("key"),
                    format!("the key `{key}` is that of another stack"),
                )
                .hint("give each stack a `key` of its own")
                .other(other);
        } else {
            keys.extend(written.map(|key| (key, path.clone())));
        }
        config.stacks.insert(name, stack);
    }
    certificate(&config, resolver);
    rule::check_verbatim(&config.traefik, resolver);
    names::check(&config, resolver);
    if complete {
        dangling::check(&config, resolver);
    }
    config
}

fn stack(raw: RawStack, path: &Path, resolver: &mut Resolver<'_>) -> Stack {
    resolver.word(&path.key("key"), &raw.key);
    let colors = colors(&raw.colors, &path.key("colors"), resolver);
    let entry_points = path.key("entryPoints");
    for (i, entry_point) in raw.entry_points.iter().enumerate() {
        resolver.word(&entry_points.index(i), entry_point);
        if raw.entry_points[..i].contains(entry_point) {
            let name = resolver.shown(&entry_points.index(i), entry_point);
            let message = format!("the entrypoint `{name}` is named twice");
            resolver
                .error_at_value(&entry_points.index(i), message)
                .hint("keep one of the two");
        }
    }
    let production = raw.production.and_then(|text| {
        let path = path.key("production");
        resolver.usable(&path, &text, address::entry_point)
    });
    check_header(&raw.color_header, &path.key("colorHeader"), resolver);
    let preview = raw
        .preview
        .map(|raw| preview(raw, &path.key("preview"), resolver));
    let top = path.key("services");
    let mut services = BTreeMap::new();
    let mut leave_out_dead = BTreeMap::new();
    for (name, raw) in raw.services {
        let path = top.key(&name);
        resolver.name(&path, &name);
        leave_out_dead.insert(name.clone(), raw.leave_out_dead);
        let service = service(raw, &path, &colors, resolver);
        services.insert(name, service);
    }
    let of_stack = raw.leave_out_dead;
    dead::leave_out(of_stack, &leave_out_dead, &mut services, path, resolver);
    let top = path.key("containers");
    let mut containers = BTreeMap::new();
    for (name, project) in raw.containers {
        resolver.word(&top.key(&name), &project);
        if let Some(color) = resolver.color(&top.key(&name), &name, &colors) {
            containers.insert(color, project);
        }
    }
    let guarded_by = (&services, raw.analysis.is_some());
    let guard = guard(raw.guard, raw.guard_timeout, guarded_by, path, resolver);
    let around = Around {
        services: &services,
        production: production.is_some()
            || resolver.tree.at(&path.key("production")).is_some()
            || services
                .values()
                .any(|service| !service.production.urls.is_empty()),
    };
    let checks = checks(raw.checks, &path.key("checks"), &around, resolver);
    let up = raw.up.map(|raw| command(raw, &path.key("up"), resolver));
    let up_timeout = raw
        .up_timeout
        .map(|raw| time(raw, &path.key("upTimeout"), resolver));
    let down = raw
        .down
        .map(|raw| command(raw, &path.key("down"), resolver));
    let analysis = raw
        .analysis
        .and_then(|raw| analysis(raw, &path.key("analysis"), &services, resolver));
    let hooks = hooks(raw.hooks, &path.key("hooks"), resolver);
    let gates = gates(raw.gates, &path.key("gates"), resolver);
    Stack {
        key: raw.key,
        colors: colors.names,
        entry_points: raw.entry_points,
        production,
        color_header: raw.color_header,
        preview,
        guard,
        services,
        containers,
        checks,
        up,
        up_timeout,
        down,
        analysis,
        hooks,
        gates,
    }
}

/// The colors of a stack, and whether all of them could be read.
pub(super) struct Colors {
    /// Those that are valid.
    pub(super) names: Vec<Color>,
    /// Whether these are all that the stack is meant to have.
    pub(super) complete: bool,
}

fn colors(raw: &[String], path: &Path, resolver: &mut Resolver<'_>) -> Colors {
    let mut names: Vec<Color> = Vec::new();
    for (i, name) in raw.iter().enumerate() {
        match name.parse::<Color>() {
            Err(_) => {
                let name = resolver.shown(&path.index(i), name);
                resolver
                    .error_at_value(&path.index(i), format!("`{name}` can't be a color"))
                    .hint(
                        "up to 32 letters, digits, `-` and `_`, beginning with a letter or digit",
                    );
            }
            Ok(color) => match names.iter().position(|c| *c == color) {
                Some(first) => {
                    let other = resolver.tree.value_span(&path.index(first));
                    let name = resolver.shown(&path.index(i), name);
                    resolver
                        .error_at_value(
                            &path.index(i),
                            format!("the color `{name}` is named twice"),
                        )
                        .hint("each color is a deployment of its own: remove one of the two")
                        .other(other);
                }
                None => names.push(color),
            },
        }
    }
    let complete = !resolver.findings.broken(path);
    Colors { names, complete }
}

/// The default certificate comes from one place.
fn certificate(config: &Config, resolver: &mut Resolver<'_>) {
    let steps = ["traefik", "tls", "stores", "default", "defaultCertificate"];
    let verbatim = Path::of(&steps);
    if config.generated_certificate && resolver.tree.at(&verbatim).is_some() {
        let other = resolver.tree.key_span(&Path::of(&["defaultCertificate"]));
        resolver
            .error(
                &verbatim,
                "the default certificate is given here and generated too",
            )
            .hint("remove this one, or `defaultCertificate: generated`")
            .other(other);
    }
}

impl Resolver<'_> {
    /// Adds a mistake at the key of a value.
    pub(super) fn error(&mut self, path: &Path, message: impl Into<String>) -> &mut Finding {
        let span = self.tree.key_span(path);
        self.findings.error(span, path, message)
    }

    /// Adds a mistake at a value.
    pub(super) fn error_at_value(
        &mut self,
        path: &Path,
        message: impl Into<String>,
    ) -> &mut Finding {
        let span = self.tree.value_span(path);
        self.findings.error(span, path, message)
    }

    /// The place of the byte `at` of the text at a path.
    pub(super) fn part(&self, path: &Path, at: usize) -> Span {
        let span = self.tree.value_span(path);
        match self.tree.at(path).map(|node| &node.content) {
            Some(Content::Scalar(scalar)) if scalar.written.is_none() => {
                span.part(&self.sources[span.source].text, &scalar.text, at)
            }
            _ => span,
        }
    }

    /// Whether the text at a path is not as it is written: variables are replaced in it.
    pub(super) fn is_replaced(&self, path: &Path) -> bool {
        matches!(self.tree.at(path).map(|node| &node.content),
            Some(Content::Scalar(scalar)) if scalar.written.is_some())
    }

    /// The text at a path for a message: as it is written, without the values of variables.
    pub(super) fn shown(&self, path: &Path, text: &str) -> String {
        match self.tree.at(path).map(|node| &node.content) {
            Some(Content::Scalar(scalar)) => scalar.shown(),
            _ => shown(text),
        }
    }

    /// The address that a text is, or a mistake at it.
    pub(super) fn usable(
        &mut self,
        path: &Path,
        text: &str,
        check: fn(&str) -> Result<String, address::Unusable>,
    ) -> Option<String> {
        match check(text) {
            Ok(address) => Some(address),
            Err(unusable) => {
                let message = format!("`{}` {}", self.shown(path, text), unusable.problem);
                self.error_at_value(path, message).hint(unusable.hint);
                None
            }
        }
    }

    /// The color of this name, or a mistake at its key; the color that was probably meant is taken for it.
    pub(super) fn color(&mut self, path: &Path, name: &str, colors: &Colors) -> Option<Color> {
        let find = |name: &str| colors.names.iter().find(|c| c.as_str() == name).cloned();
        let found = find(name);
        if found.is_some() || !colors.complete {
            return found;
        }
        let known = colors.names.iter().map(Color::as_str);
        let meant = nearest(name, known.clone());
        let hint = match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("it has {}", listed(known)),
        };
        let message = format!("`{}` is not a color of this stack", shown(name));
        self.error(path, message).hint(hint);
        meant.and_then(find)
    }

    /// Checks the name of a stack or service.
    fn name(&mut self, path: &Path, name: &str) {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || !name.chars().all(plain) {
            self.error(path, format!("`{}` can't be a name", shown(name)))
                .hint("letters, digits, `-`, `_` and `.` make a name");
        }
    }

    /// Checks a text that can't be empty and has no white space.
    pub(super) fn word(&mut self, path: &Path, text: &str) {
        if self.findings.broken(path) {
            return;
        }
        let message = if text.is_empty() {
            "this is empty"
        } else if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            "white space and control characters can't be in this"
        } else {
            return;
        };
        self.error_at_value(path, message)
            .hint("give it a value without white space");
    }
}
