//! A config that waits, and what becomes of it.

mod dead;
mod guarded;

use std::path::PathBuf;

use super::*;
use crate::history::Entry;
use crate::history::Recorded;
use crate::state::Refusal;
use crate::store::Reading;

/// A config with these stacks, `(name, key, colors)`.
fn config(stacks: &[(&str, &str, &[&str])]) -> Config {
    let mut text = String::from("stacks:\n");
    for (name, key, colors) in stacks {
        let servers = colors
            .iter()
            .map(|color| format!("{color}: http://127.0.0.1:1"));
        let servers: Vec<_> = servers.collect();
        text += &format!(
            "  {name}:\n    key: {key}\n    colors: [{}]\n    services:\n      api: {{ rule: Host(`{name}.localhost`), \
             servers: {{ {} }} }}\n",
            colors.join(", "),
            servers.join(", ")
        );
    }
    let files = vec![(PathBuf::from("bluegreen.yml"), text)];
    crate::config::parse(files, &|_| None)
        .expect("a good config")
        .config
}

fn says(value: Option<&str>) -> KeyState {
    KeyState {
        reading: value.map_or(Reading::Missing, |value| Reading::Value(value.into())),
        newest: Ok(None),
        peers: Some(Ok(Vec::new())),
        dead: None,
        at: Timestamp::UNIX_EPOCH,
    }
}

/// A writer whose clock stands still.
struct Desk {
    writer: Writer,
    now: Instant,
}

impl Desk {
    fn new(config: Config) -> Self {
        Self {
            writer: Writer::new(config, None, Ok(BTreeMap::new())),
            now: Instant::now(),
        }
    }

    /// The store says so of these keys.
    fn read(&mut self, keys: &[(&str, KeyState)]) {
        let keys = keys
            .iter()
            .map(|(name, key)| ((*name).to_owned(), key.clone()));
        let event = Event::Read(keys.collect());
        self.writer.on_store(event, self.now);
    }

    fn lost(&mut self) {
        let event = Event::Lost("gone".to_owned());
        self.writer.on_store(event, self.now);
    }

    /// What is served of each stack of the config in force, or 503.
    fn serves(&self) -> String {
        let serving = self.writer.state.serving();
        if serving.document.is_none() {
            return "503".to_owned();
        }
        let stacks = serving.config.stacks.keys();
        let stacks = stacks.map(|name| format!("{name}={}", serving.stacks[name].traffic));
        stacks.collect::<Vec<_>>().join(" ")
    }

    /// The stacks that the new config waits for.
    fn waits(&self) -> Vec<String> {
        let serving = self.writer.state.serving();
        let waiting = serving.waiting.iter().flat_map(|waiting| &waiting.stacks);
        waiting.map(|wanted| wanted.stack.clone()).collect()
    }

    fn refused(&self) -> Option<Refusal> {
        let serving = self.writer.state.serving();
        serving.refused.as_ref().map(|refused| refused.why.clone())
    }
}

const BOTH: &[&str] = &["blue", "green"];
const ONE: &[(&str, &str, &[&str])] = &[("deals", "active", BOTH)];

#[test]
fn what_comes_into_force_is_checked_against_the_traffic_at_that_moment() {
    let mut desk = Desk::new(config(ONE));
    desk.read(&[("active", says(Some("blue")))]);
    assert_eq!(desk.serves(), "deals=blue");

    let new = config(&[
        ("deals", "active", &["blue", "red"]),
        ("shop", "shop", BOTH),
    ]);
    desk.writer.on_config(new, None);
    assert_eq!(
        (desk.serves().as_str(), desk.waits()),
        ("deals=blue", vec!["shop".to_owned()])
    );
    // The typo in the new stack's key.
    desk.read(&[("shop", says(Some("gren")))]);
    assert_eq!(desk.waits(), ["shop"]);
    let waiting = desk.writer.state.serving().waiting.clone().unwrap();
    assert_eq!(waiting.stacks[0].key, "shop");
    assert!(
        waiting.stacks[0]
            .problem
            .as_ref()
            .unwrap()
            .contains("`gren`")
    );

    desk.read(&[("active", says(Some("green")))]);
    assert_eq!(desk.serves(), "deals=green");
    desk.read(&[("shop", says(Some("green")))]);
    assert_eq!(desk.serves(), "deals=green");
    assert!(desk.waits().is_empty());
    let color = "green".parse().unwrap();
    let stack = "deals".to_owned();
    assert_eq!(desk.refused(), Some(Refusal::HasTraffic { stack, color }));
}

#[test]
fn a_waiting_config_comes_into_force_with_its_last_stack() {
    let mut desk = Desk::new(config(ONE));
    desk.read(&[("active", says(Some("green")))]);
    let three = [
        ("deals", "active", BOTH),
        ("shop", "shop", BOTH),
        ("zoo", "zoo", BOTH),
    ];
    desk.writer.on_config(config(&three), None);
    desk.read(&[("shop", says(Some("green"))), ("zoo", says(Some("x")))]);
    assert_eq!(
        (desk.serves().as_str(), desk.waits()),
        ("deals=green", vec!["zoo".to_owned()])
    );
    // What was known of the other new one stays known.
    desk.read(&[("shop", says(None)), ("zoo", says(Some("blue")))]);
    assert_eq!(desk.serves(), "deals=green shop=green zoo=blue");
    assert_eq!((desk.waits().len(), desk.refused()), (0, None));
    let serving = desk.writer.state.serving();
    assert_eq!(serving.problems.keys().collect::<Vec<_>>(), ["shop"]);
}

#[test]
fn a_config_that_mends_what_was_wrong_is_not_waited_for() {
    // Nothing is known of the only stack: its key has no color of it, or is the wrong one.
    for (colors, key) in [(&["blue", "red"] as &[&str], "active"), (BOTH, "other")] {
        let mut desk = Desk::new(config(ONE));
        desk.read(&[("active", says(Some("red")))]);
        assert_eq!(desk.serves(), "503");
        desk.writer
            .on_config(config(&[("deals", key, colors)]), None);
        assert_eq!(desk.waits(), ["deals"]);
        let value = if key == "active" { "red" } else { "green" };
        desk.read(&[(key, says(Some(value)))]);
        assert_eq!(desk.serves(), format!("deals={value}"));
        assert!(desk.writer.state.serving().problems.is_empty());
    }
}

#[test]
fn another_key_moves_a_stack_only_once_it_tells_a_traffic() {
    let mut desk = Desk::new(config(ONE));
    desk.read(&[("active", says(Some("green")))]);
    desk.writer
        .on_config(config(&[("deals", "other", BOTH)]), None);
    assert_eq!(
        (desk.serves().as_str(), desk.waits()),
        ("deals=green", vec!["deals".to_owned()])
    );
    desk.read(&[("other", says(None))]);
    assert_eq!(
        (desk.serves().as_str(), desk.waits().len()),
        ("deals=green", 0)
    );
    desk.read(&[("other", says(Some("blue")))]);
    assert_eq!(desk.serves(), "deals=blue");
}

#[test]
fn a_newer_config_takes_the_place_of_one_that_waits() {
    let mut desk = Desk::new(config(ONE));
    desk.read(&[("active", says(Some("green")))]);
    desk.writer.on_config(
        config(&[("deals", "active", BOTH), ("shop", "shop", BOTH)]),
        None,
    );
    desk.writer.on_config(config(ONE), None);
    assert_eq!((desk.waits().len(), desk.refused()), (0, None));
    desk.read(&[("shop", says(Some("blue")))]);
    assert_eq!(desk.serves(), "deals=green");
}

#[test]
fn a_config_that_waits_is_dropped_once_the_file_has_mistakes() {
    let mut desk = Desk::new(config(ONE));
    desk.read(&[("active", says(Some("green")))]);
    let two = [("deals", "active", BOTH), ("shop", "shop", BOTH)];
    desk.writer.on_config(config(&two), None);
    desk.writer.on_mistakes();
    assert_eq!(
        (desk.waits().len(), desk.refused()),
        (0, Some(Refusal::Mistakes))
    );
    // The mistake is still on disk when the store tells what was waited for.
    desk.read(&[("shop", says(Some("blue")))]);
    assert_eq!(
        (desk.serves().as_str(), desk.refused()),
        ("deals=green", Some(Refusal::Mistakes))
    );
    desk.writer.on_config(config(&two), None);
    desk.read(&[("shop", says(Some("blue")))]);
    assert_eq!(
        (desk.serves().as_str(), desk.refused()),
        ("deals=green shop=blue", None)
    );
}

#[test]
fn two_configs_with_other_colors_of_a_key_follow_those_of_both() {
    let mut desk = Desk::new(config(ONE));
    desk.read(&[("active", says(Some("blue")))]);
    let new = config(&[
        ("deals", "active", &["blue", "red"]),
        ("shop", "shop", BOTH),
    ]);
    desk.writer.on_config(new, None);
    let followed = desk.writer.followed();
    let colors = |key: &str| {
        followed[key]
            .colors
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    let (active, shop): (Vec<String>, Vec<String>) = (colors("active"), colors("shop"));
    assert_eq!((active, shop.len()), (vec!["blue".to_owned()], 2));
}

#[test]
fn a_store_that_is_lost_leaves_what_is_known_and_asks_the_disk_for_the_rest() {
    let kept = Kept {
        traffic: "green".to_owned(),
        default: false,
        since: Timestamp::UNIX_EPOCH,
        by: String::new(),
    };
    let on_disk = BTreeMap::from([
        ("deals".to_owned(), kept.clone()),
        ("shop".to_owned(), kept),
    ]);
    let two = config(&[("deals", "active", BOTH), ("shop", "shop", BOTH)]);
    let mut desk = Desk::new(two);
    desk.writer.memory.kept = on_disk.clone();
    // One is known; what the disk knows of the other must stay there.
    desk.read(&[("active", says(Some("blue"))), ("shop", says(None))]);
    assert_eq!(desk.serves(), "503");
    assert_eq!(desk.writer.keep.borrow()["shop"], on_disk["shop"]);
    desk.lost();
    assert_eq!(desk.serves(), "deals=blue shop=green");
}

#[test]
fn a_change_of_many_stacks_at_once_is_told_of_each() {
    let names: Vec<_> = (0..500).map(|n| format!("s{n}")).collect();
    let stacks: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), name.as_str(), BOTH))
        .collect();
    let mut desk = Desk::new(config(&stacks));
    let all = |color: &str| {
        let mut key = says(Some(color));
        let at = Timestamp::UNIX_EPOCH;
        let entry = Entry {
            at,
            from: String::new(),
            to: "blue".to_owned(),
            by: String::new(),
            why: String::new(),
        };
        key.newest = Ok(Some(Recorded { at, entry }));
        let keys = names.iter().map(|name| (name.clone(), key.clone()));
        Event::Read(keys.collect())
    };
    assert_eq!(desk.writer.on_store(all("blue"), desk.now).len(), 0);
    assert_eq!(desk.writer.on_store(all("green"), desk.now).len(), 500);
}
