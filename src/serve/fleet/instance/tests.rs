use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What `Prefer: wait=50` asks for.
const LONG: Duration = Duration::from_secs(50);

/// The longest pause of Traefik's backoff.
const LONGEST_BACKOFF: Duration = Duration::from_secs(18);

fn revision() -> Revision {
    Revision::of(&[b"blue"])
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// An instance on one connection, with a clock that is moved by hand.
struct Told {
    instance: Instance,
    connection: ConnectionId,
    now: Instant,
}

impl Told {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            instance: Instance::new("edge".to_owned(), None, ADDRESS, now),
            connection: 0,
            now,
        }
    }

    /// One that came back after this pause, for each of its polls.
    fn with_cadence(pause: Duration) -> Self {
        let mut told = Self::new();
        for _ in 0..2 {
            told.polls().answered().passes(pause);
        }
        told.polls();
        told
    }

    fn passes(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self
    }

    fn polls(&mut self) -> &mut Self {
        let (connection, now) = (self.connection, self.now);
        self.instance.arrives(connection, ADDRESS, now);
        self
    }

    fn held(&mut self, hold: Duration) -> &mut Self {
        self.instance.is_held(self.connection, hold, self.now);
        self
    }

    fn answered(&mut self) -> &mut Self {
        self.instance
            .is_answered(self.connection, &revision(), self.now);
        self
    }

    /// The connection breaks; the next poll comes on another one.
    fn breaks(&mut self) -> &mut Self {
        self.instance.breaks(self.connection, self.now);
        self.closes(false)
    }

    fn closes(&mut self, broken: bool) -> &mut Self {
        self.instance.closes(self.connection, broken, self.now);
        self.connection += 1;
        self
    }

    fn is(&self) -> Presence {
        self.instance.presence(self.now)
    }

    fn is_after(&self, time: Duration) -> Presence {
        self.instance.presence(self.now + time)
    }
}

/// Each state that an instance can be in while it is not seen, and for how long it is then waited for.
#[test]
fn how_long_an_instance_is_waited_for() {
    let second = Duration::from_secs(1);
    let mut cases = Vec::new();
    for (cadence, pauses) in [(None, 10.0), (Some(0.0), 0.0), (Some(7.0), 14.0)] {
        let told =
            || cadence.map_or_else(Told::new, |cadence| Told::with_cadence(seconds(cadence)));
        let waits = |unanswered: f64| seconds(pauses + unanswered + 8.0);
        let mut answered = told();
        answered.polls().answered();
        cases.push((format!("answered, {cadence:?}"), answered, waits(0.0)));
        let mut unanswered = told();
        unanswered.polls();
        cases.push((format!("unanswered, {cadence:?}"), unanswered, waits(20.0)));
        for held_for in [0.0, 1.0, 20.0, 49.9] {
            let mut broken = told();
            broken.polls().held(LONG).passes(seconds(held_for)).breaks();
            let what = format!("broken after {held_for} s, {cadence:?}");
            cases.push((what, broken, waits(20.0)));
        }
        for (broken, unanswered) in [(false, 0.0), (true, 20.0)] {
            let mut closed = told();
            closed.polls().answered().closes(broken);
            let what = format!("closed, broken: {broken}, {cadence:?}");
            cases.push((what, closed, waits(unanswered)));
        }
        let mut held = told();
        held.polls().held(LONG);
        for time in [0.0, 49.0, 1000.0] {
            assert_eq!(held.is_after(seconds(time)), Presence::Held);
        }
    }
    for (what, told, waited_for) in cases {
        let last = told.is_after(waited_for);
        assert_eq!(last, Presence::Lags, "{what}");
        assert_eq!(told.is_after(waited_for + second), Presence::Gone, "{what}");
        assert_eq!(told.is(), Presence::Due, "{what}");
        let entry = told.instance.entry(Vec::new(), told.now);
        assert_eq!(entry.gone_after, waited_for.as_secs_f64(), "{what}");
        assert_eq!(entry.seen, 0.0, "{what}");
    }
}

#[test]
fn a_held_poll_that_breaks_was_seen_at_that_moment() {
    let mut told = Told::with_cadence(Duration::ZERO);
    told.held(LONG).passes(seconds(45.0)).breaks();
    assert_eq!(told.is(), Presence::Due);
    assert_eq!(told.is_after(LONGEST_BACKOFF), Presence::Lags);
    told.passes(LONGEST_BACKOFF).polls().answered();
    assert_eq!(told.is(), Presence::Due);
}

/// Two Traefiks share a name: the answer to one says nothing of the other, whose poll breaks.
#[test]
fn a_poll_that_breaks_while_another_was_answered_is_waited_for() {
    let mut told = Told::with_cadence(Duration::ZERO);
    told.held(LONG);
    told.instance.arrives(99, ADDRESS, told.now);
    told.instance.is_answered(99, &revision(), told.now);
    told.instance.closes(99, false, told.now);
    told.passes(seconds(40.0)).breaks();
    assert_eq!(told.is_after(LONGEST_BACKOFF), Presence::Lags);
}

/// What happens to a Traefik's poll, in what time.
#[derive(Clone, Debug)]
enum Poll {
    Answered(f64),
    Breaks(f64),
    /// The connection breaks while the answer is on its way.
    Lost(f64),
}

fn any_poll() -> impl Strategy<Value = Poll> {
    prop_oneof![
        3 => (0.0..50.0).prop_map(Poll::Answered),
        1 => (0.0..50.0).prop_map(Poll::Breaks),
        1 => (0.0..50.0).prop_map(Poll::Lost),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens to its polls, a Traefik that comes back as Traefik does is never given up.
    #[test]
    fn who_comes_back_is_never_gone(
        interval in 0.0..8.0,
        polls in prop::collection::vec((any_poll(), 0.0..1.0), 1..30),
    ) {
        let mut told = Told::with_cadence(seconds(interval));
        told.held(LONG);
        for (poll, part) in polls {
            let pause = match poll {
                Poll::Answered(after) => {
                    told.passes(seconds(after)).answered();
                    seconds(interval * part)
                }
                Poll::Breaks(after) => {
                    told.passes(seconds(after)).breaks();
                    LONGEST_BACKOFF.mul_f64(part)
                }
                Poll::Lost(after) => {
                    told.passes(seconds(after)).answered().closes(true);
                    LONGEST_BACKOFF.mul_f64(part)
                }
            };
            prop_assert_eq!(told.is(), Presence::Due);
            told.passes(pause);
            prop_assert_ne!(told.is(), Presence::Gone);
            told.polls().held(LONG);
            prop_assert_eq!(told.is(), Presence::Held);
        }
    }
}
