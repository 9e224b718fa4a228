//! Who gains by a change of traffic, and whom that is compared with.

use super::Traffic;
use crate::color::Color;

impl Traffic {
    /// The colors that get a larger share by this traffic than by the one before; where none does, or where that is not
    /// known, all that have some.
    pub fn gaining(&self, before: Option<&Self>) -> Vec<Color> {
        let sum = |traffic: &Self| traffic.0.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let all = || self.colors().cloned().collect();
        let Some(before) = before else {
            return all();
        };
        let (sum_now, sum_before): (u64, u64) = (sum(self), sum(before));
        let gains = |(color, weight): &&(Color, u32)| {
            u64::from(*weight) * sum_before > u64::from(before.weight(color)) * sum_now
        };
        let gaining: Vec<_> = self.0.iter().filter(gains).map(|it| it.0.clone()).collect();
        if gaining.is_empty() { all() } else { gaining }
    }

    /// The color that has most besides these; where none has any, the one that had most of the traffic before.
    pub fn beside<'a>(&'a self, these: &[Color], before: Option<&'a Self>) -> Option<&'a Color> {
        let most = |traffic: &'a Self| {
            let others = traffic.0.iter().filter(|(color, _)| !these.contains(color));
            // The first of several that have as much.
            others.rev().max_by_key(|(_, weight)| *weight)
        };
        let beside = most(self).or_else(|| before.and_then(most));
        beside.map(|(color, _)| color)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::MAX_WEIGHT;
    use super::super::tests::{colors, parse};
    use super::*;

    fn names(colors: &[Color]) -> Vec<&str> {
        colors.iter().map(Color::as_str).collect()
    }

    #[test]
    fn the_colors_that_get_a_larger_share_gain_and_all_where_none_does() {
        for (before, now, gaining, beside) in [
            (Some("blue"), "green", vec!["green"], Some("blue")),
            (Some("blue"), "blue", vec!["blue"], None),
            (
                Some("blue"),
                "blue:90,green:10",
                vec!["green"],
                Some("blue"),
            ),
            (
                Some("blue:90,green:10"),
                "blue:50,green:50",
                vec!["green"],
                Some("blue"),
            ),
            // The share counts, and not the weight.
            (
                Some("blue:90,green:10"),
                "blue:900,green:99",
                vec!["blue"],
                Some("green"),
            ),
            (
                Some("blue:9,green:1"),
                "blue:90,green:10",
                vec!["blue", "green"],
                None,
            ),
            (
                Some("blue:90,green:10"),
                "blue",
                vec!["blue"],
                Some("green"),
            ),
            (
                Some("blue:50,green:50"),
                "blue:1,green:1,Blue2:1",
                vec!["Blue2"],
                Some("blue"),
            ),
            (
                Some("Blue2"),
                "blue:1,green:2",
                vec!["blue", "green"],
                Some("Blue2"),
            ),
            // One that still has some comes before one that had it all.
            (
                Some("blue:90,green:10"),
                "green:5,Blue2:95",
                vec!["Blue2"],
                Some("green"),
            ),
            (None, "green", vec!["green"], None),
            (None, "blue:1,green:1", vec!["blue", "green"], None),
        ] {
            let (now, before) = (parse(now).unwrap(), before.map(|text| parse(text).unwrap()));
            let gains = now.gaining(before.as_ref());
            assert_eq!(names(&gains), gaining, "{before:?} → {now}");
            let other = now.beside(&gains, before.as_ref()).map(Color::as_str);
            assert_eq!(other, beside, "{before:?} → {now}");
        }
    }

    proptest! {
        #[test]
        fn who_gains_has_a_larger_share_than_before(
            now in prop::array::uniform3(0..=MAX_WEIGHT), before in prop::array::uniform3(0..=MAX_WEIGHT),
        ) {
            prop_assume!(now.iter().any(|it| *it > 0) && before.iter().any(|it| *it > 0));
            let of = |[a, b, c]: [u32; 3]| parse(&format!("blue:{a},green:{b},Blue2:{c}")).unwrap();
            let (now, before) = (of(now), of(before));
            let sum = |traffic: &Traffic| traffic.0.iter().map(|(_, weight)| u128::from(*weight)).sum::<u128>();
            let gains = |color: &Color| {
                u128::from(now.weight(color)) * sum(&before) > u128::from(before.weight(color)) * sum(&now)
            };
            let gaining = now.gaining(Some(&before));
            prop_assert!(!gaining.is_empty());
            match colors().iter().any(gains) {
                true => prop_assert!(colors().iter().all(|color| gains(color) == gaining.contains(color))),
                false => prop_assert_eq!(gaining.len(), now.colors().count()),
            }
            let beside = now.beside(&gaining, Some(&before));
            prop_assert!(beside.is_none_or(|beside| !gaining.contains(beside)));
        }
    }
}
