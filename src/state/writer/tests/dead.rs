//! Servers that are left out of the document.

use super::*;
use crate::dead::Dead;
use crate::registry::Agreed;

const ONE: &str = "http://127.0.0.1:1";
const TWO: &str = "http://127.0.0.1:2";

fn replicas() -> Config {
    let text = format!(
        "stacks: {{ deals: {{ leaveOutDead: true, services: {{ api: {{ rule: Host(`a`), health: /health, servers: {{ \
         blue: ['{ONE}', '{TWO}'], green: ['http://127.0.0.1:3', 'http://127.0.0.1:4'] }} }} }} }} }}"
    );
    let files = vec![(PathBuf::from("bluegreen.yml"), text)];
    let loaded = crate::config::parse(files, &|_| None);
    loaded.expect("a good config").config
}

fn dead(urls: &[&str]) -> Dead {
    let urls = urls.iter().map(ToString::to_string);
    Dead::from([("api".to_owned(), urls.collect())])
}

impl Desk {
    /// The key says so, and the providers agree on this.
    fn agrees(&mut self, value: &str, agreed: Option<Agreed>) {
        let mut key = says(Some(value));
        key.dead = agreed;
        self.read(&[("active", key)]);
    }

    fn revision(&self) -> Option<Revision> {
        let serving = self.writer.state.serving();
        serving.document.as_ref().map(|it| it.revision.clone())
    }

    /// Whether this server is in the document.
    fn has(&self, url: &str) -> bool {
        let serving = self.writer.state.serving();
        let document = serving.document.as_ref().unwrap();
        let text = String::from_utf8_lossy(&document.bytes).into_owned();
        text.contains(&format!("\"{url}\""))
    }
}

#[test]
fn the_document_follows_what_is_agreed_and_what_is_not_told_changes_nothing() {
    let mut desk = Desk::new(replicas());
    assert!(desk.writer.followed()["active"].leaves_out);
    desk.agrees("blue", None);
    let all = desk.revision();
    desk.agrees("blue", Some(Agreed::Now(dead(&[]))));
    assert_eq!(desk.revision(), all);

    desk.agrees("blue", Some(Agreed::Now(dead(&[ONE]))));
    assert!(!desk.has(ONE) && desk.has(TWO));
    let without = desk.revision();
    let told = desk.writer.state.serving().left_out["deals"].clone();
    assert_eq!(
        told.into_iter()
            .map(|server| server.url)
            .collect::<Vec<_>>(),
        [ONE]
    );
    // Nothing new, nothing told, the store away and back: nothing changes.
    desk.agrees("blue", Some(Agreed::Now(dead(&[ONE]))));
    desk.agrees("blue", None);
    desk.agrees("blue", Some(Agreed::Last(dead(&[TWO]))));
    desk.lost();
    desk.agrees("blue", Some(Agreed::Now(dead(&[TWO]))));
    assert_eq!(desk.revision(), without);
    // After a while all have spoken.
    desk.now += crate::state::decide::OTHERS_REPORT;
    desk.agrees("blue", Some(Agreed::Now(dead(&[TWO]))));
    assert!(desk.has(ONE) && !desk.has(TWO));

    // Never the last one, and nobody of a color that has no traffic.
    desk.agrees("blue", Some(Agreed::Now(dead(&[ONE, TWO]))));
    assert_eq!(desk.revision(), all);
    desk.agrees("green", Some(Agreed::Now(dead(&[ONE]))));
    assert!(desk.has(ONE));
}

#[test]
fn one_that_starts_leaves_out_what_the_last_one_did() {
    let mut desk = Desk::new(replicas());
    desk.agrees("blue", Some(Agreed::Last(dead(&[TWO]))));
    assert!(desk.has(ONE) && !desk.has(TWO));
    desk.agrees("blue", Some(Agreed::Now(dead(&[]))));
    assert!(desk.has(TWO));
}
