//! The hold: how long a poll's answer is withheld while nothing changes.

use std::time::Duration;

use hyper::HeaderMap;

/// A peer that closes a held poll sooner has stopped: no `pollTimeout` is that short.
const SHORTEST_POLL_TIMEOUT: Duration = Duration::from_millis(100);

/// The longest hold that a request can ask for. A connection that died silently is found out at its end.
const MAX_HOLD: Duration = Duration::from_secs(300);

/// A cut hold lasts so much of what the peer allowed: the answer must get there before the peer gives up.
const MARGIN: f64 = 0.8;

/// Two time-outs that differ by no more than this part are the same one.
const SAME: f64 = 0.1;

/// After so many polls that were held to the end of a cut on trial, it is taken back.
const FORGIVEN_AFTER: u32 = 3;

/// The hold that a request asks for with `Prefer: wait=SECONDS` (RFC 7240, section 4.3).
///
/// `Prefer` is a list of preferences; what is not understood is passed over, as the RFC demands.
pub fn asked(headers: &HeaderMap) -> Option<Duration> {
    let preferences = headers.get_all("prefer");
    let preferences = preferences.iter().filter_map(|value| value.to_str().ok());
    let wait = preferences
        .flat_map(|value| value.split(','))
        .find_map(|preference| {
            let (preference, _parameters) = preference.split_once(';').unwrap_or((preference, ""));
            let (name, seconds) = preference.split_once('=')?;
            let seconds = seconds.trim().trim_matches('"');
            name.trim()
                .eq_ignore_ascii_case("wait")
                .then(|| seconds.parse::<u64>().ok())
                .flatten()
        });
    wait.map(|seconds| Duration::from_secs(seconds).min(MAX_HOLD))
}

/// To what the holds of one instance are cut, because it closed held polls before the hold was over: most likely at its
/// `pollTimeout`.
///
/// A Traefik that was stopped closes its poll too, at any time. So a cut is on trial at first: once a few polls were held
/// to its end, it is taken back. Where the instance then gives up again after about the same time, that is its time-out,
/// and the cut stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cut {
    trial: Option<Trial>,
    /// After how long it gave up last. The trial may be over.
    gave_up_after: Option<Duration>,
    /// The time-out that it was found to have.
    timeout: Option<Duration>,
}

/// A cut that may have been a mistake.
#[derive(Clone, Debug, PartialEq)]
struct Trial {
    hold: Duration,
    kept: u32,
}

impl Cut {
    /// For how long this instance's polls are held at most.
    pub fn hold(&self) -> Option<Duration> {
        let trial = self.trial.as_ref().map(|trial| trial.hold);
        let found = self.timeout.map(|timeout| timeout.mul_f64(MARGIN));
        [trial, found].into_iter().flatten().min()
    }

    /// The instance has closed a poll after `elapsed` that was to be held for `hold`.
    pub(super) fn gave_up(&mut self, instance: &str, elapsed: Duration, hold: Duration) {
        if (SHORTEST_POLL_TIMEOUT..hold).contains(&elapsed) {
            self.timed_out(instance, elapsed);
        }
    }

    /// The instance most likely gave up a poll after `elapsed`, whether or not it was answered meanwhile.
    pub(super) fn timed_out(&mut self, instance: &str, elapsed: Duration) {
        let shorter = elapsed.mul_f64(MARGIN);
        let (gave_up_after_s, hold_s) = (elapsed.as_secs_f64(), shorter.as_secs_f64());
        let before = self.gave_up_after.replace(elapsed);
        if before.is_some_and(|before| before.abs_diff(elapsed) <= before.mul_f64(SAME)) {
            self.timeout = Some(elapsed);
            self.trial = None;
            tracing::warn!(
                instance,
                gave_up_after_s,
                hold_s,
                "the instance closes held polls before the hold is over: its polls are held shorter from now on; \
                 set its providers.http.pollTimeout above the hold that it asks for"
            );
        } else {
            self.trial = Some(Trial {
                hold: shorter,
                kept: 0,
            });
            tracing::info!(
                instance,
                gave_up_after_s,
                hold_s,
                "the instance closed a held poll: it has stopped, or its providers.http.pollTimeout is below the hold; \
                 its next polls are held shorter to find out"
            );
        }
    }

    /// The instance has come back after a poll that was held to its end, for so long: it allows that much.
    pub(super) fn allowed(&mut self, hold: Duration) {
        self.gave_up_after = self.gave_up_after.filter(|gave_up| hold < *gave_up);
    }

    /// A poll was held to its end.
    pub(super) fn kept_to(&mut self, instance: &str) {
        let Some(trial) = &mut self.trial else {
            return;
        };
        trial.kept += 1;
        if trial.kept >= FORGIVEN_AFTER {
            self.trial = None;
            tracing::info!(
                instance,
                "the instance's polls are held as long as before again"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(values: &[&str]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("prefer", value.parse().unwrap());
        }
        asked(&headers).map(|hold| hold.as_secs())
    }

    #[test]
    fn the_hold_is_what_the_request_prefers() {
        assert_eq!(wait(&[]), None);
        assert_eq!(wait(&["wait=50"]), Some(50));
        assert_eq!(wait(&["respond-async, WAIT = \"7\"; foo=bar"]), Some(7));
        assert_eq!(wait(&["respond-async", "wait=0"]), Some(0));
        assert_eq!(wait(&["wait=99999999"]), Some(300));
        for garbage in [
            "wait",
            "wait=",
            "wait=-1",
            "wait=1.5",
            "wait=x",
            "wait=99999999999999999999999",
        ] {
            assert_eq!(wait(&[garbage]), None, "{garbage}");
        }
    }

    const HOLD: Duration = Duration::from_secs(50);

    fn gives_up(cut: &mut Cut, after_ms: u64) {
        let hold = cut.hold().unwrap_or(HOLD).min(HOLD);
        cut.gave_up("a", Duration::from_millis(after_ms), hold);
    }

    fn keeps_to(cut: &mut Cut, polls: u32) {
        (0..polls).for_each(|_| cut.kept_to("a"));
    }

    #[test]
    fn a_peer_that_gives_up_once_is_forgiven() {
        let mut cut = Cut::default();
        gives_up(&mut cut, 10_000);
        keeps_to(&mut cut, FORGIVEN_AFTER - 1);
        assert_eq!(cut.hold(), Some(Duration::from_secs(8)));
        keeps_to(&mut cut, 1);
        assert_eq!(cut.hold(), None);
    }

    #[test]
    fn a_peer_that_gives_up_after_the_same_time_again_has_a_time_out() {
        let mut cut = Cut::default();
        gives_up(&mut cut, 5_000);
        keeps_to(&mut cut, FORGIVEN_AFTER);
        gives_up(&mut cut, 5_020);
        keeps_to(&mut cut, 100);
        assert_eq!(cut.hold(), Some(Duration::from_millis(4_016)));

        // A restart makes it shorter for a while only.
        gives_up(&mut cut, 1_000);
        assert_eq!(cut.hold(), Some(Duration::from_millis(800)));
        keeps_to(&mut cut, FORGIVEN_AFTER);
        assert_eq!(cut.hold(), Some(Duration::from_millis(4_016)));
    }

    /// Two hiccups months apart are no time-out, whenever they come.
    #[test]
    fn a_peer_that_has_allowed_the_whole_hold_since_is_forgiven_again() {
        let mut cut = Cut::default();
        for _ in 0..5 {
            gives_up(&mut cut, 5_000);
            keeps_to(&mut cut, FORGIVEN_AFTER);
            assert_eq!(cut.hold(), None);
            cut.allowed(HOLD);
        }
    }

    #[test]
    fn a_peer_that_is_restarted_again_and_again_has_no_time_out() {
        let mut cut = Cut::default();
        for after_ms in [31_000, 7_000, 900, 300] {
            gives_up(&mut cut, after_ms);
        }
        keeps_to(&mut cut, FORGIVEN_AFTER);
        assert_eq!(cut.hold(), None);
    }

    #[test]
    fn a_poll_that_ends_after_its_hold_or_at_once_cuts_nothing() {
        let mut cut = Cut::default();
        gives_up(&mut cut, 50_000);
        gives_up(&mut cut, 99);
        assert_eq!(cut, Cut::default());
    }
}
