//! The hold: how long a poll's answer is withheld while nothing changes.

use std::time::Duration;

use hyper::HeaderMap;

/// A peer that closes a held poll sooner has stopped: no `pollTimeout` is that short.
const SHORTEST_POLL_TIMEOUT: Duration = Duration::from_millis(100);

/// The longest hold that a request can ask for. A connection that died silently is found out at its end.
const MAX_HOLD: Duration = Duration::from_secs(300);

/// A cut hold lasts so much of what the peer allowed: the answer must get there before the peer gives up.
const MARGIN: f64 = 0.8;

/// After so many polls that were held to the end of a cut that nothing has confirmed, the cut is taken back.
const FORGIVEN_AFTER: u32 = 3;

/// The hold that a request asks for with `Prefer: wait=SECONDS` (RFC 7240, section 4.3), or the default one.
///
/// `Prefer` is a list of preferences; what is not understood is passed over, as the RFC demands.
pub fn asked(headers: &HeaderMap, default: Duration) -> Duration {
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
    wait.map_or(default, Duration::from_secs).min(MAX_HOLD)
}

/// The hold of an instance that closed held polls before the hold was over, most likely at its `pollTimeout`.
///
/// A Traefik that was stopped closes its poll too. So the first time the cut is on trial: where a few polls are then
/// held to its end, it is taken back. Where a poll is closed early again, it stays.
#[derive(Clone, Debug, PartialEq)]
pub struct Cut {
    hold: Duration,
    confirmed: bool,
    kept: u32,
}

impl Cut {
    /// For how long this instance's polls are held.
    pub fn hold(&self) -> Duration {
        self.hold
    }

    /// The instance has closed a poll after `elapsed` that was to be held for `hold`.
    pub(super) fn gave_up(
        cut: &mut Option<Self>,
        instance: &str,
        elapsed: Duration,
        hold: Duration,
    ) {
        if elapsed >= hold || elapsed < SHORTEST_POLL_TIMEOUT {
            return;
        }
        let shorter = elapsed.mul_f64(MARGIN);
        let confirmed = cut.is_some();
        let (gave_up_after_s, hold_s) = (elapsed.as_secs_f64(), shorter.as_secs_f64());
        if confirmed {
            tracing::warn!(
                instance,
                gave_up_after_s,
                hold_s,
                "the instance closes held polls before the hold is over: its polls are held shorter from now on; \
                 set its providers.http.pollTimeout above the hold that it asks for"
            );
        } else {
            tracing::info!(
                instance,
                gave_up_after_s,
                hold_s,
                "the instance closed a held poll: it has stopped, or its providers.http.pollTimeout is below the hold; \
                 its next polls are held shorter to find out"
            );
        }
        *cut = Some(Self {
            hold: shorter,
            confirmed,
            kept: 0,
        });
    }

    /// A poll was held to the end of the cut.
    pub(super) fn kept_to(cut: &mut Option<Self>, instance: &str) {
        let Some(known) = cut else {
            return;
        };
        known.kept += 1;
        if !known.confirmed && known.kept >= FORGIVEN_AFTER {
            tracing::info!(
                instance,
                "the instance's polls are held as long as before again"
            );
            *cut = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(values: &[&str]) -> u64 {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("prefer", value.parse().unwrap());
        }
        asked(&headers, Duration::from_secs(4)).as_secs()
    }

    #[test]
    fn the_hold_is_what_the_request_prefers() {
        assert_eq!(wait(&[]), 4);
        assert_eq!(wait(&["wait=50"]), 50);
        assert_eq!(wait(&["respond-async, WAIT = \"7\"; foo=bar"]), 7);
        assert_eq!(wait(&["respond-async", "wait=0"]), 0);
        assert_eq!(wait(&["wait=99999999"]), 300);
        for garbage in [
            "wait",
            "wait=",
            "wait=-1",
            "wait=1.5",
            "wait=x",
            "wait=99999999999999999999999",
        ] {
            assert_eq!(wait(&[garbage]), 4, "{garbage}");
        }
    }

    #[test]
    fn a_peer_that_gives_up_once_is_forgiven_and_twice_is_not() {
        let hold = Duration::from_secs(50);
        let mut cut = None;
        Cut::gave_up(&mut cut, "a", Duration::from_secs(10), hold);
        assert_eq!(cut.as_ref().map(Cut::hold), Some(Duration::from_secs(8)));
        for _ in 0..FORGIVEN_AFTER {
            assert!(cut.is_some());
            Cut::kept_to(&mut cut, "a");
        }
        assert_eq!(cut, None);

        Cut::gave_up(&mut cut, "a", Duration::from_secs(10), hold);
        Cut::gave_up(
            &mut cut,
            "a",
            Duration::from_secs(5),
            Duration::from_secs(8),
        );
        for _ in 0..100 {
            Cut::kept_to(&mut cut, "a");
        }
        assert_eq!(cut.as_ref().map(Cut::hold), Some(Duration::from_secs(4)));
    }

    #[test]
    fn a_poll_that_ends_after_its_hold_cuts_nothing() {
        let mut cut = None;
        Cut::gave_up(
            &mut cut,
            "a",
            Duration::from_secs(4),
            Duration::from_secs(4),
        );
        assert_eq!(cut, None);
    }
}
