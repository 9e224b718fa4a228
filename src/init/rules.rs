//! Rules of Traefik 2: bluegreen's document is read by Traefik 3, which would disable their routers.

use serde_json::{Map, Value};

use super::Notes;
use super::draft::Draft;
use crate::traefik::rule::v2::translated;

/// Writes the rules of the draft as Traefik 3 takes them, and tells of it.
pub(super) fn translate(draft: &mut Draft, notes: &mut Notes) {
    for service in &mut draft.services {
        if !is_old(&service.router) {
            rule(&mut service.rule.value, notes);
        }
    }
    let http = draft.traefik.get_mut("http");
    let routers = http.and_then(|http| http.get_mut("routers")?.as_object_mut());
    for router in routers.into_iter().flat_map(|routers| routers.values_mut()) {
        if let Value::Object(router) = router
            && !is_old(router)
            && let Some(Value::String(text)) = router.get_mut("rule")
        {
            rule(text, notes);
        }
    }
}

/// Whether Traefik 3 is told to read it as Traefik 2 did.
fn is_old(router: &Map<String, Value>) -> bool {
    router
        .get("ruleSyntax")
        .is_some_and(|syntax| syntax == "v2")
}

fn rule(rule: &mut String, notes: &mut Notes) {
    if let Some(new) = translated(rule) {
        notes.add(format!(
            "the rule {rule} is one of Traefik 2: for Traefik 3 it is {new}"
        ));
        *rule = new;
    }
}
