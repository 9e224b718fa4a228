//! Passers-by: who polled once and left, so that it is no instance. Most look in with `curl`. Who passes again and again
//! is a Traefik behind a proxy that opens a connection for each poll, and who passes under ever new names floods.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// For how long a name is remembered: a Traefik that polls has come back by then.
const REMEMBERED: Duration = Duration::from_secs(120);

/// The most names, and the most addresses, that are remembered.
const MOST: usize = 20_000;

/// So many names that pass at one address are a flood.
const FLOOD: usize = 100;

/// A flood is told of when it pauses, so that the line has the whole of it, but after this time at the latest.
const TOLD_AFTER: Duration = Duration::from_secs(10);

/// Who has passed by.
#[derive(Debug, Default)]
pub(super) struct Passers {
    names: HashMap<String, Passer>,
    addresses: HashMap<IpAddr, Address>,
}

#[derive(Debug)]
struct Passer {
    /// How often in a row it has left after one poll.
    once: u32,
    left: Instant,
}

/// How many names have passed at an address.
#[derive(Debug)]
struct Address {
    names: usize,
    /// As many as there were at the last look.
    looked: usize,
    since: Instant,
    newest: Instant,
    told: bool,
}

impl Passers {
    /// Somebody has left who is no instance.
    pub(super) fn left(&mut self, name: String, once: u32, address: IpAddr, now: Instant) {
        if self.names.len() < MOST {
            self.names.insert(name, Passer { once, left: now });
        }
        if self.addresses.len() >= MOST && !self.addresses.contains_key(&address) {
            return;
        }
        let address = self.addresses.entry(address).or_insert(Address {
            names: 0,
            looked: 0,
            since: now,
            newest: now,
            told: false,
        });
        // Who comes back is struck out again.
        address.names += 1;
        address.newest = now;
    }

    /// Somebody comes: how often in a row it has left after one poll.
    pub(super) fn comes(&mut self, name: &str, address: IpAddr) -> u32 {
        let Some(passer) = self.names.remove(name) else {
            return 0;
        };
        if let Some(address) = self.addresses.get_mut(&address) {
            address.names = address.names.saturating_sub(1);
        }
        passer.once
    }

    /// Forgets who has not come back, and gives the addresses that flood, each once, with the number of their names.
    pub(super) fn look(&mut self, now: Instant) -> Vec<(IpAddr, usize)> {
        let fresh = |at: Instant| now.duration_since(at) <= REMEMBERED;
        self.names.retain(|_, passer| fresh(passer.left));
        self.addresses.retain(|_, address| fresh(address.newest));
        let mut floods = Vec::new();
        for (ip, address) in &mut self.addresses {
            let pauses = address.names <= std::mem::replace(&mut address.looked, address.names);
            let told_now = pauses || now.duration_since(address.since) >= TOLD_AFTER;
            if address.names > FLOOD && told_now && !std::mem::replace(&mut address.told, true) {
                floods.push((*ip, address.names));
            }
        }
        floods
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn a_flood_is_told_of_once_and_whole() {
        let (mut passers, now) = (Passers::default(), Instant::now());
        let second = Duration::from_secs(1);
        for name in 0..20_000 {
            passers.left(format!("edge-{name}"), 1, HERE, now);
        }
        assert_eq!(passers.look(now), [], "it may go on");
        assert_eq!(passers.look(now + second), [(HERE, 20_000)]);
        passers.left("one-more".to_owned(), 1, HERE, now + second);
        assert_eq!(passers.look(now + 2 * second), []);
        assert_eq!(passers.look(now + 3 * second), []);
        assert_eq!(passers.look(now + 200 * second), []);
        assert!(passers.names.is_empty() && passers.addresses.is_empty());
    }

    #[test]
    fn a_flood_that_never_pauses_is_told_of_too() {
        let (mut passers, start) = (Passers::default(), Instant::now());
        let mut told = Vec::new();
        for second in 0..30 {
            let now = start + Duration::from_secs(second);
            for name in 0..50 {
                passers.left(format!("edge-{second}-{name}"), 1, HERE, now);
            }
            told.extend(passers.look(now));
        }
        assert_eq!(told, [(HERE, 550)]);
    }

    #[test]
    fn who_comes_back_is_remembered_and_floods_nothing() {
        let (mut passers, now) = (Passers::default(), Instant::now());
        for once in 0..300 {
            assert_eq!(passers.comes("edge", HERE), once);
            passers.left("edge".to_owned(), once + 1, HERE, now);
        }
        assert_eq!(passers.comes("another", HERE), 0);
        assert_eq!(passers.look(now), []);
        assert_eq!(passers.look(now), []);
    }
}
