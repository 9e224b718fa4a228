//! Middlewares that the labels of a color's containers define: they go with these containers, and the routers that name
//! them with them. So they are taken over.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::Notes;
use super::draft::Draft;
use super::labels::Labels;
use super::stacks::Groups;
use super::verbatim::insert;
use crate::traefik::schema::definitions;

/// By this a name is one of Docker's provider.
const DOCKER: &str = "@docker";

/// The fields that labels give a middleware: the way to each, and its value.
pub(super) type Fields = Vec<(Vec<String>, String)>;

/// Takes over what a color's containers define and the draft refers to, below `traefik`; tells of it, and of what can't
/// be found.
pub(super) fn take_over(draft: &mut Draft, groups: &Groups, notes: &mut Notes) {
    let taking = Taking {
        defined: defined(draft, groups, notes),
        lasting: &groups.lasting,
        schema: definitions(),
        taken: BTreeMap::new(),
    };
    taking.all(draft, notes);
}

/// Who defines a middleware, and how.
struct Definition {
    by: String,
    fields: Fields,
}

/// The middlewares that the colors' containers define; those of the color that has the traffic go before the others'.
fn defined(draft: &Draft, groups: &Groups, notes: &mut Notes) -> BTreeMap<String, Definition> {
    let mut defined: BTreeMap<String, Definition> = BTreeMap::new();
    for color in &draft.colors {
        for service in groups.colored.values().filter_map(|group| group.get(color)) {
            for (name, fields) in Labels::of(service).middlewares {
                match defined.get(&name) {
                    None => {
                        let by = format!("{} ({color})", service.name);
                        defined.insert(name, Definition { by, fields });
                    }
                    Some(first) if first.fields != fields => notes.add(format!(
                        "the middleware `{name}` is another one in {color}: that of {} is taken",
                        first.by
                    )),
                    Some(_) => {}
                }
            }
        }
    }
    defined
}

struct Taking<'a> {
    defined: BTreeMap<String, Definition>,
    /// Those of containers without a color, which stay.
    lasting: &'a BTreeSet<String>,
    schema: Map<String, Value>,
    /// The names of those that are taken over, by their names without a provider.
    taken: BTreeMap<String, String>,
}

impl Taking<'_> {
    fn all(mut self, draft: &mut Draft, notes: &mut Notes) {
        let own = middlewares(&draft.traefik);
        for service in &mut draft.services {
            let mut router = Value::Object(std::mem::take(&mut service.router));
            self.references(&mut router, &own, notes);
            if let Value::Object(router) = router {
                service.router = router;
            }
        }
        let mut traefik = Value::Object(std::mem::take(&mut draft.traefik));
        self.references(&mut traefik, &own, notes);
        if let Value::Object(traefik) = traefik {
            draft.traefik = traefik;
        }
        // A chain has others in it.
        let mut done = BTreeSet::new();
        while let Some((name, ours)) = self
            .taken
            .clone()
            .into_iter()
            .find(|(name, _)| !done.contains(name))
        {
            let Definition { by, fields } = &self.defined[&name];
            notes.add(format!(
                "the middleware `{name}` is defined by the labels of {by}, and would end with that container: it is \
                 taken over below `traefik`"
            ));
            let mut middleware = Value::Object(self.written(fields));
            self.references(&mut middleware, &own, notes);
            insert(
                &mut draft.traefik,
                &["http", "middlewares", &ours],
                middleware,
            );
            done.insert(name);
        }
    }

    /// Follows the names of middlewares below a value.
    fn references(&mut self, value: &mut Value, own: &BTreeSet<String>, notes: &mut Notes) {
        match value {
            Value::Array(values) => {
                for value in values {
                    self.references(value, own, notes);
                }
            }
            Value::Object(map) => {
                for (key, value) in map {
                    match value {
                        Value::Array(names) if key.eq_ignore_ascii_case("middlewares") => {
                            for name in names {
                                if let Value::String(name) = name {
                                    self.reference(name, own, notes);
                                }
                            }
                        }
                        value => self.references(value, own, notes),
                    }
                }
            }
            _ => {}
        }
    }

    /// Follows one name.
    fn reference(&mut self, name: &mut String, own: &BTreeSet<String>, notes: &mut Notes) {
        let Some(plain) = name.strip_suffix(DOCKER) else {
            return;
        };
        if self.defined.contains_key(plain) {
            let ours = || match own.contains(plain) {
                true => format!("{plain}-docker"),
                false => plain.to_owned(),
            };
            let ours = self.taken.entry(plain.to_owned()).or_insert_with(ours);
            name.clone_from(ours);
        } else if !self.lasting.contains(plain) {
            notes.add(format!(
                "the middleware `{name}` is not defined in these files: where a color's container defines it, its \
                 routers answer 404 once that container is stopped; define it below `traefik`"
            ));
        }
    }

    /// The fields as a middleware, spelled as Traefik spells them.
    fn written(&self, fields: &Fields) -> Map<String, Value> {
        let mut middleware = Map::new();
        for (way, value) in fields {
            let mut kind = self.schema.get("traefik.Middleware");
            let mut spelled = Vec::new();
            for step in way {
                let (name, below) = self.step(kind, step);
                spelled.push(name);
                kind = below;
            }
            let is_chain = spelled
                .iter()
                .map(String::as_str)
                .eq(["chain", "middlewares"]);
            let value = match is_chain {
                true => docker_names(value),
                false => value.as_str().into(),
            };
            let spelled: Vec<_> = spelled.iter().map(String::as_str).collect();
            insert(&mut middleware, &spelled, value);
        }
        middleware
    }

    /// A field in a struct or a map of the schema: its spelling, and what it takes.
    fn step<'s>(&'s self, kind: Option<&'s Value>, step: &str) -> (String, Option<&'s Value>) {
        let kind = kind.map(|kind| kind.pointer("/anyOf/0").unwrap_or(kind));
        let kind = kind.and_then(|kind| match kind["$ref"].as_str() {
            Some(name) => self.schema.get(name.trim_start_matches("#/$defs/")),
            None => Some(kind),
        });
        let Some(kind) = kind else {
            return (step.to_owned(), None);
        };
        let fields = kind["properties"].as_object().into_iter().flatten();
        let mut fields = fields.filter(|(name, _)| name.eq_ignore_ascii_case(step));
        match fields.next() {
            Some((name, below)) => (name.clone(), Some(below)),
            None => (step.to_owned(), kind.get("additionalProperties")),
        }
    }
}

/// The names in a label; without a provider they are Docker's.
pub(super) fn docker_names(label: &str) -> Value {
    let names = label
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    let names = names.map(|name| match name.contains('@') {
        true => name.to_owned(),
        false => format!("{name}{DOCKER}"),
    });
    names.collect()
}

/// The names of the middlewares that are there already.
fn middlewares(traefik: &Map<String, Value>) -> BTreeSet<String> {
    let middlewares = traefik.get("http").and_then(|http| http.get("middlewares"));
    let names = middlewares.and_then(Value::as_object).into_iter().flatten();
    names.map(|(name, _)| name.clone()).collect()
}
