//! Names: of services, of their containers, and of the variables for them.

use super::colors;
use super::compose;
use super::draft::{Draft, Said};
use super::matching::Matching;
use super::stacks::Named;
use super::write::UNKNOWN;
use crate::color::Color;

impl Matching<'_> {
    /// What containers of its network call a color of a service.
    pub(super) fn named(&self, base: &str, color: &Color) -> Named {
        let group = self.groups.colored.get(base);
        let name = group.and_then(|group| group.get(color));
        let name = name.map_or(base, |service| service.name.as_str());
        let same = |service: &&compose::Service| service.name == *name;
        let alone = group.is_none_or(|group| group.values().filter(same).count() == 1);
        let project = self
            .groups
            .projects
            .get(color)
            .filter(|project| !project.contains('$'));
        let container = |project: &str| format!("{project}-{name}-1");
        Named {
            sure: match project {
                _ if alone => Some(name.to_owned()),
                project => project.map(|project| container(project)),
            },
            usual: container(&format!("{}-{color}", self.stack)),
        }
    }

    /// A name for a service that no other has: that of the service, else that of its router.
    pub(super) fn name(&self, base: &str, route: &str, draft: &Draft) -> String {
        let route =
            colors::of_name(route, self.colors).map_or_else(|| route.to_owned(), |(_, rest)| rest);
        let numbered = (2..).map(|n| format!("{base}-{n}"));
        let candidates = [base.to_owned(), route].into_iter().chain(numbered);
        let mut names = candidates.map(|name| valid_name(&name));
        let free =
            |name: &String| !name.is_empty() && !draft.services.iter().any(|s| s.name == *name);
        names.find(free).unwrap_or_default()
    }
}

pub(super) fn placeholder(name: &str) -> Said {
    Said::with(
        format!(
            "Host(`{}.localhost`)",
            name.to_ascii_lowercase().replace(['_', '.'], "-")
        ),
        format!("{UNKNOWN}: what does this service answer to?"),
    )
}

/// A name as services and stacks may have it.
pub(super) fn valid_name(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = name
        .chars()
        .map(|c| if plain(c) { c } else { '-' })
        .collect();
    name.trim_matches('-').to_owned()
}

/// The variable for where a color of a service is, such as `API_BLUE`.
pub(super) fn variable(base: &str, color: &Color) -> String {
    let name = format!("{base}_{color}").to_ascii_uppercase();
    let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("_{name}")
    } else {
        name
    }
}
