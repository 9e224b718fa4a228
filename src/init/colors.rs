//! Colors in names: `api-blue` is the service `api` in blue, `compose.green.yml` is all of green.

use std::path::Path;

use crate::color::Color;

/// The color that a name has as one of its words, and the name without it.
///
/// A name with two colors in it has none: `blue-green.yml` is about both.
pub(super) fn of_name(name: &str, colors: &[Color]) -> Option<(Color, String)> {
    let mut words = words(name).into_iter().filter_map(|(start, end)| {
        let word = &name[start..end];
        let color = colors
            .iter()
            .find(|c| c.as_str().eq_ignore_ascii_case(word));
        color.map(|color| (color, start, end))
    });
    let (color, start, end) = words.next()?;
    if words.next().is_some() {
        return None;
    }
    let separator = |c: char| !c.is_alphanumeric();
    let (before, after) = (&name[..start], &name[end..]);
    // One of the two separators goes with the word.
    let rest = if after.is_empty() {
        before.trim_end_matches(separator).to_owned()
    } else {
        format!("{before}{}", after.trim_start_matches(separator))
    };
    Some((color.clone(), rest))
}

/// The color of a file: from its name, or from that of its folder.
pub(super) fn of_file(path: &Path, colors: &[Color]) -> Option<Color> {
    let name =
        |path: Option<&std::ffi::OsStr>| path.map(|name| name.to_string_lossy().into_owned());
    let file = name(path.file_stem())?;
    if let Some((color, _)) = of_name(&file, colors) {
        return Some(color);
    }
    // `.` has no name; the folder that it is has one.
    let folder = path.parent().and_then(|folder| {
        let named = folder.file_name().map(ToOwned::to_owned);
        named.or_else(|| {
            folder
                .canonicalize()
                .ok()?
                .file_name()
                .map(ToOwned::to_owned)
        })
    });
    of_name(&name(folder.as_deref())?, colors).map(|(color, _)| color)
}

fn words(name: &str) -> Vec<(usize, usize)> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, c) in name.char_indices() {
        match (c.is_alphanumeric(), start) {
            (true, None) => start = Some(at),
            (false, Some(begun)) => {
                words.push((begun, at));
                start = None;
            }
            _ => {}
        }
    }
    words.extend(start.map(|begun| (begun, name.len())));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colors() -> Vec<Color> {
        ["blue", "green"].map(|name| name.parse().unwrap()).to_vec()
    }

    #[test]
    fn a_color_is_a_word_of_a_name() {
        for (name, color, rest) in [
            ("api-blue", "blue", "api"),
            ("blue_api", "blue", "api"),
            ("deal-green-api", "green", "deal-api"),
            ("api.Blue", "blue", "api"),
            ("green", "green", ""),
        ] {
            let found = of_name(name, &colors());
            assert_eq!(
                found,
                Some((color.parse().unwrap(), rest.to_owned())),
                "{name}"
            );
        }
        for name in ["api", "bluebird-api", "blue-green", "evergreen", ""] {
            assert_eq!(of_name(name, &colors()), None, "{name}");
        }
    }

    #[test]
    fn a_file_has_the_color_of_its_name_or_of_its_folder() {
        for (path, color) in [
            ("compose.blue.yml", Some("blue")),
            ("x/docker-compose.green.yaml", Some("green")),
            ("compose-blue.yml", Some("blue")),
            ("green/compose.yml", Some("green")),
            ("deals-green/compose.yml", Some("green")),
            ("blue/compose.green.yml", Some("green")),
            ("bluegreen/compose.yml", None),
            ("proxy.yml", None),
        ] {
            let found = of_file(Path::new(path), &colors());
            assert_eq!(found.as_ref().map(Color::as_str), color, "{path}");
        }
    }
}
