//! Ports: what a compose service publishes on its host, in all notations.

use serde_json::Value;

use super::variables::{Text, Values};

/// A TCP port of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Port {
    /// The port within the container.
    pub(super) target: Option<u16>,
    /// Where the host has it.
    pub(super) published: Published,
}

/// Where the host has a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Published {
    /// Nowhere, or at a port that is another one at each start.
    No,
    /// The port is in a variable without a value.
    Unknown(String),
    /// Here.
    At {
        /// Host and port as they are written in bluegreen.yml, perhaps with variables.
        written: String,
        /// The host as it is written there.
        host: String,
        /// The port as it is written there.
        port: String,
        /// The port with the defaults of its variables.
        number: u16,
    },
}

/// Reads an entry of `ports`; `None` for what is not TCP.
///
/// # Errors
///
/// What can't be read, to be told.
pub(super) fn read(entry: &Value, values: &Values) -> Result<Option<Port>, String> {
    let text = |value: &Value| Text::parse(&plain(value), values);
    let Value::Object(long) = entry else {
        return short(&plain(entry), values);
    };
    let get = |key: &str| long.get(key).map(text).unwrap_or_default();
    if get("protocol").value().as_deref() == Some("udp") {
        return Ok(None);
    }
    port(&get("host_ip"), &get("published"), &get("target")).map(Some)
}

fn short(entry: &str, values: &Values) -> Result<Option<Port>, String> {
    let entry = match entry.rsplit_once('/') {
        Some((entry, protocol)) if !protocol.contains('}') => {
            if protocol != "tcp" {
                return Ok(None);
            }
            entry
        }
        _ => entry,
    };
    let mut text = Text::parse(entry, values);
    // A variable for the host and the port in one.
    let whole = |piece: &Text| {
        piece
            .value()
            .is_some_and(|v| v.contains(':') && !v.starts_with('['))
    };
    if text.split().iter().any(whole) {
        text = Text::parse(&text.value().unwrap_or_default(), values);
    }
    let nothing = Text::default();
    match text.split().as_slice() {
        [target] => port(&nothing, &nothing, target),
        [published, target] => port(&nothing, published, target),
        [host, published, target] => port(host, published, target),
        _ => Err(format!(
            "the port `{entry}` is in no notation that is known"
        )),
    }
    .map(Some)
}

fn port(host: &Text, published: &Text, target: &Text) -> Result<Port, String> {
    let number = |text: &Text| -> Result<Option<u16>, String> {
        match text.value() {
            None => Ok(None),
            Some(value) if value.is_empty() => Ok(None),
            Some(value) if value.contains('-') => {
                Err(format!("the range of ports `{value}` is left out"))
            }
            Some(value) => match value.parse() {
                Ok(port @ 1..) => Ok(Some(port)),
                _ => Err(format!("`{value}` is no port")),
            },
        }
    };
    let target = number(target)?;
    let port = number(published)?;
    let published = match (published.unknown(), port) {
        (Some(variable), _) => Published::Unknown(variable.to_owned()),
        (None, None) => Published::No,
        (None, Some(number)) => {
            let host = here(host);
            let port = published.written().unwrap_or_else(|| number.to_string());
            Published::At {
                written: format!("{host}:{port}"),
                host,
                port,
                number,
            }
        }
    };
    Ok(Port { target, published })
}

/// The address of the host at which a port is reached that is bound to this one.
fn here(host: &Text) -> String {
    const LOOPBACK: &str = "127.0.0.1";
    let value = host.value().unwrap_or_default();
    let address = value.trim_start_matches('[').trim_end_matches(']');
    match address {
        "" | "0.0.0.0" | "::" | "localhost" => LOOPBACK.to_owned(),
        v6 if v6.contains(':') => format!("[{v6}]"),
        _ => host.written().unwrap_or(value),
    }
}

/// A scalar as text.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
        other => other.to_string(),
    }
}

impl Port {
    /// Its port on the host, with the defaults of variables.
    pub(super) fn number(&self) -> Option<u16> {
        match self.published {
            Published::At { number, .. } => Some(number),
            Published::No | Published::Unknown(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_notation_is_read() {
        let values = Values::from([("SET".to_owned(), "7000".to_owned())]);
        #[rustfmt::skip]
        let cases = [
            (json!("8091:8092"), Some("127.0.0.1:8091"), Some(8092)),
            (json!("127.0.0.1:8091:8091"), Some("127.0.0.1:8091"), Some(8091)),
            (json!("10.0.0.1:8091:80/tcp"), Some("10.0.0.1:8091"), Some(80)),
            (json!("0.0.0.0:8091:80"), Some("127.0.0.1:8091"), Some(80)),
            (json!("[::1]:8091:80"), Some("[::1]:8091"), Some(80)),
            (json!("[::]:8091:80"), Some("127.0.0.1:8091"), Some(80)),
            (json!("${API:-8091}:80"), Some("127.0.0.1:${API:-8091}"), Some(80)),
            (json!("${HOST:-10.0.0.2}:${API-8091}:80"), Some("${HOST:-10.0.0.2}:${API:-8091}"), Some(80)),
            (json!("$SET:80"), Some("127.0.0.1:${SET:-7000}"), Some(80)),
            (json!("${WEB:-127.0.0.1:80}:80"), Some("127.0.0.1:80"), Some(80)),
            (json!("8091"), None, Some(8091)),
            (json!(8091), None, Some(8091)),
            (json!("127.0.0.1::80"), None, Some(80)),
            (json!({ "target": 80, "published": "8091", "host_ip": "127.0.0.1" }), Some("127.0.0.1:8091"), Some(80)),
            (json!({ "target": 80, "published": 8091, "protocol": "tcp" }), Some("127.0.0.1:8091"), Some(80)),
            (json!({ "target": 80 }), None, Some(80)),
        ];
        for (entry, written, target) in cases {
            let port = read(&entry, &values).unwrap().unwrap();
            let at = match &port.published {
                Published::At { written, .. } => Some(written.as_str()),
                _ => None,
            };
            assert_eq!((at, port.target), (written, target), "{entry}");
        }
        for udp in [
            json!("53:53/udp"),
            json!({ "target": 53, "protocol": "udp" }),
        ] {
            assert_eq!(read(&udp, &values), Ok(None));
        }
        let unset = read(&json!("${GONE}:80"), &values).unwrap().unwrap();
        assert_eq!(unset.published, Published::Unknown("GONE".to_owned()));
        for (bad, told) in [
            (json!("8091-8093:80"), "range"),
            (json!("a:80"), "no port"),
            (json!("99999:80"), "no port"),
            (json!("1:2:3:4"), "no notation"),
        ] {
            assert!(read(&bad, &values).unwrap_err().contains(told), "{bad}");
        }
    }
}
