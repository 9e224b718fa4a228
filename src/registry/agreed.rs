//! Which servers are dead, as the providers agree by their reports.

use std::time::Duration;

use super::{Report, STOPPED_AFTER};
use crate::dead::Dead;

/// What the reports of a stack say of its dead servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agreed {
    /// Dead is what every running provider that asks finds dead.
    Now(Dead),
    /// None that runs knows; the last that did, did say this.
    Last(Dead),
}

impl Agreed {
    /// What reports of these ages say; none where none says anything.
    pub fn of<'a>(reports: impl IntoIterator<Item = (&'a Report, Duration)>) -> Option<Self> {
        let mut now: Option<Dead> = None;
        let mut last = None;
        for (report, age) in reports {
            let Some(dead) = &report.dead else {
                continue;
            };
            if !report.stopped && age < STOPPED_AFTER {
                now = Some(match now {
                    Some(now) => both(now, dead),
                    None => dead.clone(),
                });
            } else if last
                .is_none_or(|(younger, name, _)| (age, &report.provider) < (younger, name))
            {
                last = Some((age, &report.provider, dead));
            }
        }
        let last = last.map(|(.., dead)| Self::Last(dead.clone()));
        now.map(Self::Now).or(last)
    }

    /// What counts from now on, after what did before. While others may not have reported yet, as after a time without
    /// the store, that stays; and what is only remembered is of use to who has just started.
    pub fn after(&self, before: Option<&Dead>, early: bool) -> Option<&Dead> {
        match (self, before) {
            (Self::Now(dead) | Self::Last(dead), None) => Some(dead),
            (Self::Now(dead), Some(_)) if !early => Some(dead),
            (_, Some(_)) => None,
        }
    }
}

/// What is in both.
fn both(mut one: Dead, other: &Dead) -> Dead {
    one.retain(|service, urls| match other.get(service) {
        Some(others) => {
            urls.retain(|url| others.contains(url));
            !urls.is_empty()
        }
        None => false,
    });
    one
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use proptest::sample::{select, subsequence};

    use super::*;

    fn dead(urls: &[&str]) -> Dead {
        let urls: BTreeSet<_> = urls.iter().map(ToString::to_string).collect();
        let service = ("api".to_owned(), urls);
        [service]
            .into_iter()
            .filter(|(_, urls)| !urls.is_empty())
            .collect()
    }

    /// A report of this age in seconds; without servers it does not ask.
    fn report(
        provider: &str,
        stopped: bool,
        age: u64,
        urls: Option<&[&str]>,
    ) -> (Report, Duration) {
        let report = serde_json::json!({
            "provider": provider, "version": "1", "stopped": stopped, "traffic": "blue", "revision": "r",
            "problem": null, "marker": false, "dead": urls.map(dead)
        });
        (
            serde_json::from_value(report).unwrap(),
            Duration::from_secs(age),
        )
    }

    fn of(reports: &[(Report, Duration)]) -> Option<Agreed> {
        Agreed::of(reports.iter().map(|(report, age)| (report, *age)))
    }

    #[test]
    fn dead_is_what_all_find_dead_who_run_and_ask() {
        let now = |urls: &[&str]| Some(Agreed::Now(dead(urls)));
        let a = report("a", false, 0, Some(&["1", "2"]));
        let b = report("b", false, 3, Some(&["2", "3"]));
        let asks_nobody = report("c", false, 0, None);
        let is_gone = report("d", false, 4, Some(&[]));
        let has_stopped = report("e", true, 0, Some(&[]));
        assert_eq!(of(&[]), None);
        assert_eq!(of(std::slice::from_ref(&asks_nobody)), None);
        assert_eq!(of(std::slice::from_ref(&a)), now(&["1", "2"]));
        assert_eq!(of(&[a.clone(), b.clone()]), now(&["2"]));
        let all = [
            a.clone(),
            b,
            asks_nobody.clone(),
            is_gone.clone(),
            has_stopped,
        ];
        assert_eq!(of(&all), now(&["2"]));
        assert_eq!(of(&[a, report("f", false, 0, Some(&[]))]), now(&[]));
        // Nobody who runs knows: the youngest.
        let youngest = report("g", true, 2, Some(&["7"]));
        let last = Some(Agreed::Last(dead(&["7"])));
        assert_eq!(of(&[is_gone, asks_nobody, youngest]), last);
    }

    #[test]
    fn what_was_agreed_stays_until_all_can_have_spoken() {
        let (old, new) = (dead(&["1"]), dead(&["2"]));
        let (now, last) = (Agreed::Now(new.clone()), Agreed::Last(new.clone()));
        assert_eq!(now.after(None, false), Some(&new));
        assert_eq!(now.after(Some(&old), false), Some(&new));
        assert_eq!(now.after(Some(&old), true), None);
        assert_eq!(last.after(None, true), Some(&new));
        assert_eq!(last.after(Some(&old), false), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// In whatever order the reports are read, all read the same from them.
        #[test]
        fn the_order_of_the_reports_does_not_matter(
            mut reports in prop::collection::vec((any::<bool>(), select(&[0, 3, 4, 9]), prop::option::of(subsequence(vec!["1", "2", "3"], 0..=3))), 0..6),
            at in any::<prop::sample::Index>(),
        ) {
            let made: Vec<_> = reports.drain(..).enumerate().map(|(i, (stopped, age, urls))| {
                report(&format!("p{i}"), stopped, age, urls.as_deref())
            }).collect();
            let once = of(&made);
            let mut turned = made;
            if !turned.is_empty() {
                let middle = at.index(turned.len());
                turned.rotate_left(middle);
            }
            prop_assert_eq!(of(&turned), once);
        }
    }
}
