//! The steps of a ramp.

use super::Traffic;
use crate::color::Color;

/// The traffic of each step of a ramp to a color: its share in percent, and the rest to those that had it before, as it was
/// shared among them. Steps that would take from the color what it has are left out; the last one gives it everything.
pub fn ramp(from: &Traffic, color: &Color, percent: &[u32], colors: &[Color]) -> Vec<Traffic> {
    let others: Vec<_> = from.0.iter().filter(|(other, _)| other != color).collect();
    let sum = |shares: &[&(Color, u32)]| shares.iter().map(|(_, weight)| u64::from(*weight)).sum();
    let rest: u64 = sum(&others);
    let has = u64::from(from.weight(color));
    let steps = percent.iter().filter_map(|percent| {
        let share = u64::from(*percent);
        if share >= 100 || rest == 0 {
            return None;
        }
        // What it has now is at least that much.
        if has * 100 >= share * (has + rest) {
            return None;
        }
        // In hundredths of a percent, so that several others keep their shares among themselves.
        let left = (100 - share) * 100;
        let mut shares: Vec<_> = others
            .iter()
            .map(|(other, weight)| (other.clone(), (u64::from(*weight) * left / rest) as u32))
            .collect();
        shares.push((color.clone(), *percent * 100));
        let divisor = shares
            .iter()
            .fold(0, |divisor, (_, weight)| gcd(divisor, *weight));
        let shares = shares.into_iter();
        let mut shares: Vec<_> = shares
            .map(|(color, it)| (color, it / divisor.max(1)))
            .collect();
        // Two colors in percent read best.
        if let [(_, one), (_, two)] = shares.as_mut_slice() {
            (*one, *two) = (100 - *percent, *percent);
        }
        shares.retain(|(_, weight)| *weight > 0);
        Some(Traffic(shares).sorted(colors))
    });
    steps.chain([Traffic::all_to(color.clone())]).collect()
}

/// The greatest common divisor (Euclid's).
fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::MAX_WEIGHT;
    use super::super::tests::{colors, parse};
    use super::*;

    /// The steps of a ramp to green, as text.
    fn steps(from: &str, percent: &[u32]) -> Vec<String> {
        let green = "green".parse().unwrap();
        let steps = ramp(&parse(from).unwrap(), &green, percent, &colors());
        steps.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_ramp_takes_its_steps_from_whoever_has_the_traffic() {
        let usual = [5, 25, 50, 100];
        for (from, percent, expected) in [
            (
                "blue",
                &usual[..],
                vec![
                    "blue:95,green:5",
                    "blue:75,green:25",
                    "blue:50,green:50",
                    "green",
                ],
            ),
            ("blue", &[100], vec!["green"]),
            (
                "blue",
                &[1, 99, 100],
                vec!["blue:99,green:1", "blue:1,green:99", "green"],
            ),
            // What would take from green what it has is left out, and so is what changes nothing.
            (
                "blue:75,green:25",
                &usual,
                vec!["blue:50,green:50", "green"],
            ),
            (
                "blue:74,green:26",
                &usual,
                vec!["blue:50,green:50", "green"],
            ),
            (
                "blue:76,green:24",
                &usual,
                vec!["blue:75,green:25", "blue:50,green:50", "green"],
            ),
            ("blue:1,green:100000", &usual, vec!["green"]),
            ("green", &usual, vec!["green"]),
            // The others keep their shares among themselves.
            (
                "blue:1,Blue2:1",
                &[50, 100],
                vec!["blue:1,green:2,Blue2:1", "green"],
            ),
            (
                "blue:3,Blue2:1",
                &[20, 100],
                vec!["blue:3,green:1,Blue2:1", "green"],
            ),
            (
                "blue:60,green:20,Blue2:20",
                &[20, 60, 100],
                vec!["blue:3,green:6,Blue2:1", "green"],
            ),
        ] {
            assert_eq!(steps(from, percent), expected, "{from} {percent:?}");
        }
    }

    proptest! {
        #[test]
        fn a_ramp_rises_to_everything_and_leaves_the_rest_to_the_others_as_they_shared_it(
            weights in prop::array::uniform3(0..=MAX_WEIGHT),
            percent in prop::collection::btree_set(1_u32..100, 0..8),
        ) {
            let [blue, green, blue2] = weights;
            prop_assume!(blue + green + blue2 > 0);
            let from = parse(&format!("blue:{blue},green:{green},Blue2:{blue2}")).unwrap();
            let color: Color = "green".parse().unwrap();
            let percent: Vec<_> = percent.into_iter().chain([100]).collect();
            let steps = ramp(&from, &color, &percent, &colors());

            let share = |traffic: &Traffic, color: &Color| {
                let sum: u64 = traffic.0.iter().map(|(_, weight)| u64::from(*weight)).sum();
                f64::from(traffic.weight(color)) / sum as f64
            };
            prop_assert_eq!(steps.last(), Some(&Traffic::all_to(color.clone())));
            let has = share(&from, &color);
            let expected = percent.iter().map(|percent| f64::from(*percent) / 100.0);
            let expected: Vec<_> = expected.filter(|share| *share > has || *share >= 1.0).collect();
            prop_assert_eq!(steps.len(), if has < 1.0 { expected.len() } else { 1 });
            let [blue, _, blue2] = colors();
            for (step, expected) in steps.iter().zip(&expected) {
                // Whoever reads it gets the same.
                prop_assert_eq!(&parse(&step.to_string()).unwrap(), step);
                prop_assert!((share(step, &color) - expected).abs() < 0.001, "{}: {}", step, expected);
                if *expected < 1.0 {
                    let of_rest = |traffic: &Traffic| share(traffic, &blue) / (1.0 - share(traffic, &color));
                    prop_assert!((of_rest(step) - of_rest(&from)).abs() < 0.02, "{}: {}", from, step);
                    let is_new = from.weight(&blue2) == 0 && step.weight(&blue2) > 0;
                    prop_assert!(!is_new, "{}", step);
                }
            }
            let shares: Vec<_> = steps.iter().map(|step| share(step, &color)).collect();
            prop_assert!(shares.is_sorted_by(|one, next| one < next), "{:?}", shares);
        }
    }
}
