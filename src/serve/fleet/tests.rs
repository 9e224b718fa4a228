use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::*;

fn revision() -> Revision {
    Revision::of(&[b"blue"])
}

fn caller(name: &str) -> Caller<'_> {
    Caller {
        name: Some(name),
        address: Ipv4Addr::LOCALHOST.into(),
        trusted: false,
        by_go: true,
    }
}

fn poll(fleet: &Arc<Fleet>, connection: ConnectionId, name: &str) {
    fleet
        .arrive(connection, caller(name), None)
        .answer(&revision(), false);
}

fn ids(fleet: &Fleet) -> Vec<String> {
    fleet.entries().into_iter().map(|entry| entry.id).collect()
}

#[test]
fn made_up_names_are_no_instances_and_leave_nothing_behind() {
    let fleet = Arc::new(Fleet::default());
    for _ in 0..2 {
        poll(&fleet, 0, "edge");
    }
    // All on one connection, and each on its own.
    for name in 0..1000 {
        poll(&fleet, 1, &format!("one-{name}"));
        poll(&fleet, 2 + name, &format!("each-{name}"));
        fleet.closed(2 + name, false);
    }
    fleet.closed(1, false);
    assert_eq!(ids(&fleet), ["edge"]);
    assert_eq!(fleet.size(), 1);
    assert_eq!(fleet.lock().connections.len(), 1);
}

/// A Traefik that has just started has the document of its first poll until it polls again.
#[test]
fn who_has_polled_once_is_told_of_as_long_as_it_may_come_back() {
    let fleet = Arc::new(Fleet::default());
    let mut changes = fleet.changes();
    changes.mark_unchanged();
    poll(&fleet, 0, "edge");
    assert!(changes.has_changed().unwrap());
    let [entry] = <[_; 1]>::try_from(fleet.entries()).unwrap();
    assert!(entry.newcomer && !entry.counts);
    poll(&fleet, 0, "edge");
    let [entry] = <[_; 1]>::try_from(fleet.entries()).unwrap();
    assert!(!entry.newcomer && entry.counts);
    poll(&fleet, 1, "gone");
    changes.mark_unchanged();
    fleet.closed(1, false);
    assert!(changes.has_changed().unwrap());
    assert_eq!(ids(&fleet), ["edge"]);
}

#[test]
fn a_connection_that_never_polled_tells_nobody_anything() {
    let fleet = Arc::new(Fleet::default());
    for _ in 0..2 {
        poll(&fleet, 0, "edge");
    }
    let mut changes = fleet.changes();
    changes.mark_unchanged();
    fleet.closed(1, false);
    fleet.closed(2, true);
    assert!(!changes.has_changed().unwrap());
    fleet.closed(0, false);
    assert!(changes.has_changed().unwrap());
}

#[test]
fn a_connection_that_goes_to_another_name_is_the_first_one_s_no_longer() {
    let fleet = Arc::new(Fleet::default());
    for name in ["one", "one", "two", "two"] {
        poll(&fleet, 0, name);
    }
    assert_eq!(ids(&fleet), ["one", "two"]);
    let known = fleet.lock();
    let connected = |id| known.instances[id].is_connected();
    assert!(!connected("one") && connected("two"));
}

/// Each of two thousand paths has an instance of its own, and each of these tells the first few others.
#[test]
fn a_name_that_polls_many_paths_tells_a_few() {
    let fleet = Arc::new(Fleet::default());
    for n in 0..2000 {
        let share = Arc::new(Share::new(&n.to_string(), BTreeSet::new()));
        for _ in 0..2 {
            let poll = fleet.arrive(n, caller("edge"), Some(&share));
            poll.answer(&revision(), false);
        }
    }
    (0..2).for_each(|_| poll(&fleet, 2000, "another"));
    for entry in fleet.entries() {
        let Some(others) = entry.other_paths else {
            assert_eq!(entry.id, "another");
            continue;
        };
        assert_eq!(entry.id, "edge");
        assert_eq!((others.paths.len(), others.more), (5, 1994));
        assert!(!others.paths.contains(&entry.share.unwrap()));
    }
}
