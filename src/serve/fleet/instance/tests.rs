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

fn caller(trusted: bool) -> Caller<'static> {
    Caller {
        name: Some("edge"),
        address: ADDRESS,
        trusted,
        by_go: true,
    }
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
            instance: Instance::new("edge".to_owned(), None, ADDRESS, 0, now),
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
        self.instance.arrives(connection, &caller(false), now);
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
        // Who has polled once has not said how long its interval is.
        if cadence.is_some() {
            let mut answered = told();
            answered.polls().answered();
            cases.push((format!("answered, {cadence:?}"), answered, waits(0.0)));
            let mut unanswered = told();
            unanswered.polls();
            cases.push((format!("unanswered, {cadence:?}"), unanswered, waits(20.0)));
        }
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
        let entry = told.instance.entry(None, false, told.now);
        assert_eq!(entry.gone_after, waited_for.as_secs_f64(), "{what}");
        assert_eq!(entry.seen, 0.0, "{what}");
    }
}

/// Its first interval can be as long as any, and nobody waits for it before it has come back.
#[test]
fn who_has_polled_once_is_there_as_long_as_its_connection() {
    let mut told = Told::new();
    for _ in 0..2 {
        told.polls();
        assert_eq!(told.is_after(seconds(120.0)), Presence::Due);
        told.answered();
        assert_eq!(told.is_after(seconds(120.0)), Presence::Due);
        assert!(!told.instance.counts());
        told.closes(false);
    }
    assert_eq!(told.is_after(seconds(120.0)), Presence::Gone);
}

/// Its polls come at once while each is held beyond the next tick, so its cadence tells nothing of the tick any more.
#[test]
fn a_poll_interval_is_allowed_for_however_soon_the_polls_came_lately() {
    let mut told = Told::new();
    told.polls().answered().passes(seconds(30.0));
    for _ in 0..20 {
        told.polls().held(LONG).passes(LONG).answered();
    }
    for reconnects in [false, true] {
        assert_eq!(told.is_after(seconds(34.0)), Presence::Due);
        assert_eq!(told.is_after(seconds(38.0)), Presence::Lags);
        assert_eq!(told.is_after(seconds(39.0)), Presence::Gone);
        if !reconnects {
            told.closes(false).polls().answered();
        }
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
    told.instance.arrives(99, &caller(false), told.now);
    told.instance.is_answered(99, &revision(), told.now);
    told.instance.closes(99, false, told.now);
    told.passes(seconds(40.0)).breaks();
    assert_eq!(told.is_after(LONGEST_BACKOFF), Presence::Lags);
}

/// An instance is waited for once it has come back on a connection, and ever after.
#[test]
fn who_comes_back_counts() {
    let mut told = Told::new();
    told.polls().answered();
    assert!(!told.instance.counts());
    told.closes(false).polls().answered();
    assert!(!told.instance.counts(), "on another connection");
    told.polls();
    assert!(told.instance.counts());
    told.breaks().polls().answered();
    assert!(told.instance.counts());
}

/// An instance that comes by another connection each time, so often.
fn reconnecting(trusted: bool, times: usize) -> Told {
    let mut told = Told::new();
    for _ in 0..times {
        let (connection, caller) = (told.connection, caller(trusted));
        told.instance.arrives(connection, &caller, told.now);
        told.answered().closes(false).passes(seconds(0.1));
    }
    told
}

#[test]
fn who_never_uses_a_connection_again_is_found_out() {
    assert!(!reconnecting(false, 2).instance.reconnects());
    let mut told = reconnecting(false, 3);
    assert!(told.instance.reconnects() && told.instance.counts());
    // It does after all.
    told.polls().answered().polls();
    assert!(!told.instance.reconnects() && told.instance.counts());

    // A connection that broke says nothing, and without a name it may be anybody.
    let mut told = Told::new();
    for _ in 0..10 {
        told.polls().answered().closes(true);
    }
    assert!(!told.instance.reconnects());
    let mut nobody = Instance::new(ADDRESS.to_string(), None, ADDRESS, 3, told.now);
    assert!(nobody.reconnects() && !nobody.counts() && nobody.is_told());
    nobody.arrives(0, &caller(false), told.now);
    nobody.arrives(0, &caller(false), told.now);
    assert!(nobody.counts());

    // Nor is curl a Traefik, however often it looks in.
    for (by_go, found_out) in [(true, true), (false, false)] {
        let mut nobody = Instance::new(ADDRESS.to_string(), None, ADDRESS, 0, told.now);
        let caller = Caller {
            by_go,
            ..caller(false)
        };
        for connection in 0..10 {
            nobody.arrives(connection, &caller, told.now);
            nobody.is_answered(connection, &revision(), told.now);
            nobody.closes(connection, false, told.now);
        }
        assert_eq!(nobody.reconnects(), found_out);
    }
}

#[test]
fn who_leaves_its_connections_open_and_uses_none_again_is_found_out_too() {
    let mut told = Told::new();
    for _ in 0..3 {
        told.polls().answered();
        told.connection += 1;
    }
    told.passes(IDLE);
    assert!(!told.instance.has_idle(told.now));
    told.passes(seconds(1.0));
    assert!(told.instance.has_idle(told.now));
    told.instance.idles(told.now);
    assert!(told.instance.reconnects() && !told.instance.has_idle(told.now));
}

/// What a poll on another connection is held by and confirms: by the name, where it is believed and comes soon.
#[test]
fn a_name_that_is_believed_tells_what_the_instance_has() {
    for (trusted, pause, waits_for_it) in [
        (true, 0.1, true),
        (true, 0.2, true),
        (true, 0.201, false),
        (false, 0.1, false),
    ] {
        let mut told = reconnecting(trusted, 4);
        let polls = |told: &mut Told| {
            let connection = told.connection;
            told.instance
                .arrives(connection, &caller(trusted), told.now)
        };
        told.passes(seconds(1.0));
        assert_eq!(polls(&mut told), None, "it may be a new process");
        told.answered().closes(false).passes(seconds(pause));
        let expected = waits_for_it.then(revision);
        assert_eq!(polls(&mut told), expected, "{trusted} {pause}");
        assert_eq!(told.instance.confirmed(), expected.as_ref());
        told.held(LONG).passes(seconds(40.0)).answered();
        assert_eq!(told.instance.confirmed(), expected.as_ref());
        // One that breaks is no proof of anything.
        told.closes(false).passes(seconds(0.01));
        polls(&mut told);
        told.held(LONG).breaks().passes(seconds(0.01));
        assert_eq!(polls(&mut told), None);
        assert_eq!(told.instance.confirmed(), None);
    }
}

/// A proxy does not tell that its client has gone: the poll that it left open is answered to nobody.
#[test]
fn by_its_name_only_the_newest_poll_tells() {
    let mut told = reconnecting(true, 4);
    let (instance, mut now) = (&mut told.instance, told.now);
    instance.arrives(100, &caller(true), now);
    instance.is_held(100, LONG, now);
    now += seconds(1.0);
    assert_eq!(instance.arrives(101, &caller(true), now), None);
    let green = Revision::of(&[b"green"]);
    instance.is_answered(101, &revision(), now);
    instance.is_answered(100, &green, now);
    now += seconds(0.1);
    assert_eq!(instance.arrives(102, &caller(true), now), Some(revision()));
    assert_eq!(instance.confirmed(), Some(&revision()));
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

/// What part of the interval, or of the backoff, passes until the next poll: none where a poll outlasts the tick.
fn any_part() -> impl Strategy<Value = f64> {
    prop_oneof![2 => Just(0.0), 1 => 0.0..1.0, 1 => Just(1.0)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens to its polls, a Traefik that comes back as Traefik does is never given up.
    #[test]
    fn who_comes_back_is_never_gone(
        interval in 0.0..120.0,
        polls in prop::collection::vec((any_poll(), any_part()), 1..30),
    ) {
        let mut told = Told::new();
        let mut first_on = None;
        for (poll, part) in polls {
            if first_on != Some(told.connection) {
                // The first poll on a connection is answered at once, and the ticker is started.
                first_on = Some(told.connection);
                told.polls().answered();
                prop_assert_eq!(told.is(), Presence::Due);
                told.passes(seconds(interval));
                prop_assert_ne!(told.is(), Presence::Gone);
            }
            told.polls().held(LONG);
            prop_assert_eq!(told.is(), Presence::Held);
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
        }
    }
}
