//! JSON as Traefik's decoder takes it.

use std::io;

use serde::Serialize;

/// JSON that Traefik's decoder, which is one of YAML, takes.
pub(super) fn to_json(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4096);
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, ReadableAsYaml);
    value
        .serialize(&mut serializer)
        .expect("strings, numbers and maps with text keys always serialize");
    bytes
}

/// The entries of a map, without the braces around them; nothing where there are none.
pub(super) fn entries(map: &impl Serialize) -> Vec<u8> {
    let mut bytes = to_json(map);
    bytes.pop();
    bytes.drain(..1);
    bytes
}

/// Compact JSON in which the characters that YAML takes for unprintable are escaped. The others stay as they are:
/// Traefik's decoder does not know surrogate pairs.
struct ReadableAsYaml;

impl serde_json::ser::Formatter for ReadableAsYaml {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let unprintable = |c: char| {
            matches!(
                c,
                '\u{7f}'..='\u{9f}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
            )
        };
        let mut rest = fragment;
        while let Some(at) = rest.find(unprintable) {
            let (before, from) = rest.split_at(at);
            let mut following = from.chars();
            let character = following.next().map_or(0, u32::from);
            write!(writer, "{before}\\u{character:04x}")?;
            rest = following.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}
