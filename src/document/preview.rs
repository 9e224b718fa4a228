//! Preview: routers by which a color is seen whatever the traffic says.
//!
//! Each wins over the service's own router wherever both match, and among each other they keep the order that the
//! services' own routers have.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::model::Router;
use super::part::{entry_points, service_of};
use crate::color::Color;
use crate::config::{Preview, Service, Stack};
use crate::traffic::Traffic;

/// The name of the router on the preview's entrypoint.
pub(crate) fn of_entry_point(base: &str) -> String {
    format!("{base}-preview")
}

/// The name of the router for those who ask for a color.
pub(crate) fn of_color(base: &str, color: &Color) -> String {
    format!("{base}-preview-{color}")
}

/// Renders the preview routers of one service.
pub(super) fn render<'a>(
    base: &str,
    stack: &'a Stack,
    service: &'a Service,
    traffic: &Traffic,
    routers: &mut BTreeMap<String, Router<'a>>,
) {
    let Some(Preview {
        header,
        entry_point,
        rule: narrowed,
    }) = &stack.preview
    else {
        return;
    };
    let rule = match narrowed {
        Some(narrowed) => format!("({}) && ({narrowed})", service.rule),
        None => service.rule.clone(),
    };
    if let Some(header) = header {
        for color in &stack.colors {
            let rule = format!("({rule}) && Header(`{header}`, `{color}`)");
            let router = Router {
                entry_points: entry_points(stack, service),
                service: service_of(base, service, color),
                rest: Cow::Owned(above(service, &rule)),
                rule: rule.into(),
            };
            routers.insert(of_color(base, color), router);
        }
    }
    if let (Some(entry_point), Some(idle)) = (entry_point, idle(stack, traffic)) {
        let mut fields = above(service, &rule);
        fields.remove("entryPoints");
        let router = Router {
            entry_points: std::slice::from_ref(entry_point),
            service: service_of(base, service, idle),
            rest: Cow::Owned(fields),
            rule: rule.into(),
        };
        routers.insert(of_entry_point(base), router);
    }
}

/// The color without traffic that comes next after the one with the most; none where all colors have some.
fn idle<'a>(stack: &'a Stack, traffic: &Traffic) -> Option<&'a Color> {
    let colors = &stack.colors;
    let most = (0..colors.len()).max_by_key(|i| (traffic.weight(&colors[*i]), usize::MAX - i))?;
    let mut others = colors[most + 1..].iter().chain(&colors[..most]);
    others.find(|color| traffic.weight(color) == 0)
}

/// The service's verbatim router fields, with a priority above its own router's by how much longer the rule is, and
/// one more. A router without a priority has the length of its rule (Traefik's `pkg/muxer/http`, `GetRulePriority`).
fn above(service: &Service, rule: &str) -> Map<String, Value> {
    let mut fields = service.router.clone();
    let length = |rule: &str| i64::try_from(rule.len()).unwrap_or(i64::MAX);
    let own = match fields.get("priority") {
        Some(Value::String(text)) => text.parse().ok(),
        Some(number) => number.as_i64(),
        None => None,
    };
    // Traefik takes 0 for none given. The config's checks keep the others far from the end of the range.
    let own: Option<i64> = own.filter(|priority| *priority != 0);
    let longer = length(rule) - length(&service.rule);
    let priority = own.unwrap_or_else(|| length(&service.rule)) + longer + 1;
    fields.insert("priority".to_owned(), priority.into());
    fields
}
