//! Shares: documents of some of the stacks, each for those who ask for these.
//!
//! A share is there as long as somebody has it: a poll, or an instance that polls it. Only the shares of a stack that
//! changes are rendered, and only those who have one of them are told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::watch;

use super::Serving;
use crate::certificate::Certificate;
use crate::config::Config;
use crate::dead::LeftOut;
use crate::document::{Document, Parts, Revision, share};
use crate::traffic::Traffic;

/// What the path of a share begins with.
pub const SHARES: &str = "/traefik/";

/// All shares together have so many times the stacks of the config at most: which ones there are comes from outside, and
/// each takes memory and, at a change, time.
const MOST: usize = 64;

/// Unknown stacks that are named where somebody asks for them, and stacks that there are.
const NAMED: usize = 16;

/// Why there is no such share.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoShare {
    /// The config has no such stacks; and those that it has.
    #[error("there is no stack {}; there {}", quoted(.0), there_are(.1))]
    Unknown(Vec<String>, Vec<String>),
    /// There are too many different ones.
    #[error("there are too many different shares: poll fewer, or the whole at /traefik")]
    TooMany,
}

/// The documents of some of the stacks.
#[derive(Debug)]
pub struct Share {
    path: String,
    asked: BTreeSet<String>,
    rendered: Mutex<Rendered>,
    revision: watch::Sender<Option<Revision>>,
}

#[derive(Debug, Default)]
struct Rendered {
    config: Option<Arc<Config>>,
    /// The stacks that are in it, and their traffic where it is known; none where the config lacks one that is asked for.
    stacks: BTreeMap<String, Option<Traffic>>,
    /// The servers of these that are left out.
    left_out: BTreeMap<String, LeftOut>,
    parts: Parts,
    document: Option<Document>,
}

impl Share {
    /// That of the stacks that are asked for, with their names as the path has them; without a document yet.
    pub(crate) fn new(names: &str, asked: BTreeSet<String>) -> Self {
        Self {
            path: format!("{SHARES}{names}"),
            asked,
            rendered: Mutex::default(),
            revision: watch::Sender::new(None),
        }
    }

    /// The path at which it is polled, with the stacks in order.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The document; none where the traffic of one of its stacks is not known, or the config lacks one.
    pub fn document(&self) -> Option<Document> {
        self.lock().document.clone()
    }

    /// The revision of the document.
    pub fn revision(&self) -> Option<Revision> {
        self.revision.borrow().clone()
    }

    /// Tells of each new document, by its revision.
    pub fn revisions(&self) -> watch::Receiver<Option<Revision>> {
        self.revision.subscribe()
    }

    /// The stacks that are in it, and those that it is asked for.
    pub fn stacks(&self) -> BTreeSet<String> {
        let rendered = self.lock();
        self.asked
            .iter()
            .chain(rendered.stacks.keys())
            .cloned()
            .collect()
    }

    /// How many stacks are in it.
    fn size(&self) -> usize {
        self.lock().stacks.len()
    }

    /// Checks that it can have a document.
    ///
    /// # Errors
    ///
    /// Where the config lacks a stack that it is asked for.
    pub fn check(&self, config: &Config) -> Result<(), NoShare> {
        check(config, &self.asked)
    }

    /// Takes what is served now.
    fn update(&self, serving: &Serving, certificate: Option<&Certificate>) {
        let mut rendered = self.lock();
        let traffic = |name: &String| serving.stacks.get(name).map(|stack| &stack.traffic);
        let known = rendered.config.as_ref();
        if known.is_none_or(|config| !Arc::ptr_eq(config, &serving.config)) {
            let stacks = match check(&serving.config, &self.asked) {
                Ok(()) => share::stacks(&serving.config, &self.asked),
                Err(error) => {
                    tracing::warn!(
                        path = self.path,
                        %error,
                        "the config lacks a stack of a share that is polled: who polls it gets nothing new until its path is \
                         changed"
                    );
                    BTreeSet::new()
                }
            };
            *rendered = Rendered {
                config: Some(Arc::clone(&serving.config)),
                stacks: stacks.into_iter().map(|name| (name, None)).collect(),
                ..Rendered::default()
            };
        } else if rendered.stacks.iter().all(|(name, before)| {
            let left_out = rendered.left_out.get(name) == serving.left_out.get(name);
            before.as_ref() == traffic(name) && left_out
        }) {
            return;
        }
        let Rendered {
            stacks,
            left_out,
            parts,
            document,
            ..
        } = &mut *rendered;
        left_out.clone_from(&serving.left_out);
        left_out.retain(|name, _| stacks.contains_key(name));
        for (name, known) in &mut *stacks {
            *known = traffic(name).cloned();
        }
        let those = |name: &str| stacks.contains_key(name);
        let known: Option<BTreeMap<_, _>> = stacks
            .iter()
            .map(|(name, traffic)| Some((name.clone(), traffic.clone()?)))
            .collect();
        let known = known.filter(|known| !known.is_empty());
        *document = known.map(|traffic| {
            parts.render_those(&serving.config, &those, &traffic, left_out, certificate)
        });
        let revision = document.as_ref().map(|document| document.revision.clone());
        drop(rendered);
        self.revision.send_if_modified(|published| {
            let differs = *published != revision;
            *published = revision;
            differs
        });
    }

    fn lock(&self) -> MutexGuard<'_, Rendered> {
        self.rendered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The shares that somebody has.
#[derive(Debug, Default)]
pub(super) struct Shares(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    certificate: Option<Certificate>,
    shares: BTreeMap<String, Weak<Share>>,
}

impl Shares {
    /// What is served has changed.
    pub(super) fn update(&self, serving: &Serving, certificate: Option<&Certificate>) {
        let mut known = self.lock();
        if known.certificate.as_ref() != certificate {
            known.certificate = certificate.cloned();
        }
        for share in known.shares.values().filter_map(Weak::upgrade) {
            share.update(serving, certificate);
        }
    }

    /// The share of these stacks, by their names with commas between them. What is served now is asked for only once
    /// nothing newer can pass by.
    pub(super) fn of(
        &self,
        names: &str,
        serving: impl FnOnce() -> Arc<Serving>,
    ) -> Result<Arc<Share>, NoShare> {
        let asked: BTreeSet<String> = names.split(',').map(str::to_owned).collect();
        let path = asked
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(",");
        let mut known = self.lock();
        if let Some(share) = known.shares.get(&path).and_then(Weak::upgrade) {
            return Ok(share);
        }
        let serving = serving();
        check(&serving.config, &asked)?;
        let share = Arc::new(Share::new(&path, asked));
        share.update(&serving, known.certificate.as_ref());
        known.shares.retain(|_, share| share.strong_count() > 0);
        let others = known.shares.values().filter_map(Weak::upgrade);
        let stacks: usize = others.map(|other| other.size()).sum();
        if stacks + share.size() > MOST * serving.config.stacks.len() {
            return Err(NoShare::TooMany);
        }
        known.shares.insert(path, Arc::downgrade(&share));
        Ok(share)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Checks that the config has the stacks that somebody asks for.
fn check(config: &Config, asked: &BTreeSet<String>) -> Result<(), NoShare> {
    let unknown = asked
        .iter()
        .filter(|name| !config.stacks.contains_key(*name));
    let unknown: Vec<_> = unknown.cloned().collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(NoShare::Unknown(
        unknown,
        config.stacks.keys().cloned().collect(),
    ))
}

/// The first few, as code.
fn quoted(names: &[String]) -> String {
    let shown = names.iter().take(NAMED);
    let mut shown: Vec<_> = shown
        .map(|name| format!("`{}`", name.escape_debug()))
        .collect();
    if names.len() > NAMED {
        shown.push(format!("{} more", names.len() - NAMED));
    }
    shown.join(", ")
}

fn there_are(names: &[String]) -> String {
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{verb} {}", quoted(names))
}
