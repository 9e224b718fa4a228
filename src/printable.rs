//! Printable: text from outside, made safe to look at.
//!
//! A reason in the history, a container's name or a server's answer may hold anything: controls that rewrite what a
//! terminal shows, a line break that begins a line of ours, marks that turn the order of the text around, characters
//! that nobody sees. What is printed, logged or answered to people goes through here, all of it and at its very edge,
//! so that no caller can forget it: one text is one line. In JSON the same characters are written as JSON writes
//! them, so that it says exactly what it said.

use std::fmt::{self, Display, Formatter, Write};

use crate::secret;

/// A text as one line, on which every character shows itself: the others are written as in `\n` and `\u{1b}`. What is
/// secret is left out.
#[derive(Clone, Copy, Debug)]
pub struct Printable<'a>(pub &'a str);

impl Display for Printable<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for run in secret::without(self.0).split_inclusive(|c| !is_printable(c)) {
            match run.char_indices().next_back() {
                Some((end, c)) if !is_printable(c) => {
                    write!(f, "{}{}", &run[..end], c.escape_default())?;
                }
                _ => f.write_str(run)?,
            }
        }
        Ok(())
    }
}

/// Whether a character shows itself, and changes nothing but its own place.
pub fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~')
        || !c.is_control()
            && !matches!(c,
            // Line and paragraph separator; notes between lines.
            '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}'
            // What a font draws nothing for, as Unicode says (Default_Ignorable_Code_Point): bidirectional marks,
            // overrides and isolates, joiners, fillers, tags. Not the variation selectors, without which no emoji
            // looks as it should.
            | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// The beginning of a text, of at most so many characters, and `…` where it goes on. What is secret is left out before:
/// half of it is not known again.
pub fn beginning(text: &str, most: usize) -> String {
    let text = secret::without(text);
    let mut shown: String = text.chars().take(most).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// JSON that says the same, with every character that is not printable in JSON's own notation. What stands between
/// its texts, such as line breaks, stays.
pub fn json(json: &str) -> String {
    let json = secret::without(json);
    let mut printable = String::with_capacity(json.len());
    for c in json.chars() {
        if is_printable(c) || c == '\n' {
            printable.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            write!(printable, "\\u{unit:04x}").expect("writing to a string can't fail");
        }
    }
    printable
}

/// An event of the log, which may have several lines: only its first begins at the margin, so that no text makes up an
/// event of its own. Colors stay where they are ours.
pub fn event(event: &str, colors: bool) -> String {
    let mut printable = String::with_capacity(event.len());
    let event = secret::without(event);
    for (i, line) in event.lines().enumerate() {
        if i > 0 {
            printable.push_str("\n    ");
        }
        let mut rest = line;
        while let Some(at) = rest.find("\x1b[").filter(|_| colors) {
            let after = &rest[at + 2..];
            let end = after.find(|c: char| !c.is_ascii_digit() && c != ';');
            // Select Graphic Rendition (ECMA-48), which changes how the text looks and nothing else.
            let length = match end.filter(|end| after[*end..].starts_with('m')) {
                Some(end) => end + 3,
                None => 0,
            };
            let shown = if length == 0 { at + 1 } else { at };
            printable.push_str(&Printable(&rest[..shown]).to_string());
            printable.push_str(&rest[at..at + length]);
            rest = &rest[shown.max(at + length)..];
        }
        printable.push_str(&Printable(rest).to_string());
    }
    printable
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn shown(text: &str) -> String {
        Printable(text).to_string()
    }

    #[test]
    fn what_shows_itself_stays() {
        for text in [
            "",
            "release 42: blue → green, 'quoted' \"twice\" \\ `x`",
            "Größe, e\u{301}, שלום, 日本語, ❤\u{fe0f}, 🦀",
        ] {
            assert_eq!(shown(text), text);
            assert_eq!(json(text), text);
        }
    }

    #[test]
    fn what_does_not_is_written_in_full() {
        for (text, written) in [
            ("a\nb\r\tc", r"a\nb\r\tc"),
            ("\x1b[2J\x07\0\x7f", r"\u{1b}[2J\u{7}\u{0}\u{7f}"),
            ("\u{9b}31m\u{85}", r"\u{9b}31m\u{85}"),
            (
                "a\u{202e}b\u{2066}c\u{200f}",
                r"a\u{202e}b\u{2066}c\u{200f}",
            ),
            (
                "\u{200b}\u{feff}\u{ad}\u{e0041}",
                r"\u{200b}\u{feff}\u{ad}\u{e0041}",
            ),
        ] {
            assert_eq!(shown(text), written);
            assert_eq!(shown(written), written);
        }
    }

    #[test]
    fn an_event_keeps_its_lines_and_our_colors_only() {
        for (text, colors, written) in [
            ("a\nb\n  c", false, "a\n    b\n      c"),
            ("\x1b[2mdim\x1b[0m", true, "\x1b[2mdim\x1b[0m"),
            ("\x1b[2mdim", false, r"\u{1b}[2mdim"),
            (
                "\x1b[1;31mred\x1b[2J\x1b",
                true,
                "\x1b[1;31mred\\u{1b}[2J\\u{1b}",
            ),
            ("\x1b[", true, r"\u{1b}["),
        ] {
            assert_eq!(event(text, colors), written);
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_one_line_of_printable_characters_goes_out(text in any::<String>()) {
            prop_assert!(shown(&text).chars().all(is_printable));
            let lines = event(&text, false);
            prop_assert!(lines.chars().all(|c| is_printable(c) || c == '\n'));
            prop_assert!(lines.lines().skip(1).all(|line| line.starts_with("    ")));
        }

        #[test]
        fn json_says_what_it_said(text in any::<String>()) {
            let value = serde_json::json!({ text.clone(): [text] });
            for written in [value.to_string(), format!("{value:#}")] {
                let printable = json(&written);
                prop_assert!(printable.chars().all(|c| is_printable(c) || c == '\n'));
                prop_assert_eq!(serde_json::from_str::<Value>(&printable).unwrap(), value.clone());
            }
        }
    }
}
