//! A hand-made poller: one connection, every byte under control.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than any hold that a test asks for.
const PATIENCE: Duration = Duration::from_secs(70);

/// One connection to the endpoint, as Traefik's HTTP provider has one.
///
/// ```ignore
/// let mut poller = Poller::connect(provider.address()).await;
/// poller.poll(&[]).await;                                     // at once
/// poller.send_poll(&[("Prefer", "wait=2")]).await;            // held
/// assert!(poller.within(Duration::from_millis(500)).await.is_none());
/// redis.cli(&["SET", "active", "green"]).await;
/// let answer = poller.receive().await;
/// ```
pub(crate) struct Poller {
    stream: TcpStream,
    /// What has come and is not part of a returned answer yet.
    buffer: Vec<u8>,
}

/// One answer as it came over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) status: u16,
    /// In their order, the names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// When its last byte was read.
    pub(crate) at: Instant,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON: {error}: {}", self.text()))
    }
}

impl Poller {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    pub(crate) fn local_address(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    /// Any bytes: half a request, two requests, no request at all.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// `GET /traefik` with the headers that Traefik sends, and these.
    pub(crate) async fn send_poll(&mut self, headers: &[(&str, &str)]) {
        self.send(&request("/traefik", headers)).await;
    }

    /// Sends a poll, and waits for its answer.
    pub(crate) async fn poll(&mut self, headers: &[(&str, &str)]) -> Received {
        self.send_poll(headers).await;
        self.receive().await
    }

    /// The head of the next answer alone: to HEAD there is no body, whatever the headers say.
    pub(crate) async fn receive_head(&mut self) -> Received {
        let head = async {
            loop {
                if let Some((received, used)) = parse_head(&self.buffer) {
                    self.buffer.drain(..used);
                    return received;
                }
                let n = self.stream.read_buf(&mut self.buffer).await.unwrap();
                assert!(n > 0, "closed in place of an answer");
            }
        };
        let received = tokio::time::timeout(PATIENCE, head).await;
        received.unwrap_or_else(|_| panic!("no answer within {PATIENCE:?}"))
    }

    /// The next answer.
    pub(crate) async fn receive(&mut self) -> Received {
        self.within(PATIENCE)
            .await
            .unwrap_or_else(|| panic!("no answer within {PATIENCE:?}"))
    }

    /// The next answer, or `None` if it takes longer; it can still be received later.
    pub(crate) async fn within(&mut self, time: Duration) -> Option<Received> {
        let answer = async {
            loop {
                if let Some((received, used)) = parse(&self.buffer) {
                    self.buffer.drain(..used);
                    return received;
                }
                // Safe to be cut off: either nothing is read, or it is in the buffer.
                let n = self.stream.read_buf(&mut self.buffer).await.unwrap();
                assert!(
                    n > 0,
                    "closed in place of an answer, after {:?}",
                    String::from_utf8_lossy(&self.buffer)
                );
            }
        };
        tokio::time::timeout(time, answer).await.ok()
    }

    /// Whether the peer closes the connection within this time, without sending anything more.
    pub(crate) async fn closed_within(&mut self, time: Duration) -> bool {
        let read = tokio::time::timeout(time, self.stream.read_buf(&mut self.buffer)).await;
        // A reset is an end, too.
        matches!(read, Ok(Ok(0) | Err(_)))
    }
}

/// A request as Traefik 3.7 writes it.
pub(crate) fn request(path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut text =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Go-http-client/1.1\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += "Accept-Encoding: gzip\r\n\r\n";
    text.into_bytes()
}

/// The head of the first answer in these bytes, and how many of them it takes.
fn parse_head(bytes: &[u8]) -> Option<(Received, usize)> {
    let head_end = find(bytes, b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..head_end]).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .expect("a status line")
        .parse()
        .unwrap();
    let headers = lines.map(|line| line.split_once(':').expect("a header line"));
    let headers: Vec<_> = headers
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let received = Received {
        status,
        headers,
        body: Vec::new(),
        at: Instant::now(),
    };
    Some((received, head_end))
}

/// The first whole answer in these bytes, and how many of them it takes.
fn parse(bytes: &[u8]) -> Option<(Received, usize)> {
    let (mut received, head_end) = parse_head(bytes)?;
    if received.header("transfer-encoding") == Some("chunked") {
        let used = chunks(&bytes[head_end..], &mut received.body)?;
        return Some((received, head_end + used));
    }
    let length = received
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    // Those have no body, whatever their headers say.
    let length = if matches!(received.status, 100..=199 | 204 | 304) {
        0
    } else {
        length
    };
    received.body = bytes.get(head_end..head_end + length)?.to_vec();
    Some((received, head_end + length))
}

/// Reads a chunked body, and returns how many bytes it took.
fn chunks(bytes: &[u8], body: &mut Vec<u8>) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = find(&bytes[at..], b"\r\n")?;
        let size =
            usize::from_str_radix(std::str::from_utf8(&bytes[at..at + line]).unwrap(), 16).unwrap();
        at += line + 2;
        body.extend(bytes.get(at..at + size)?);
        bytes.get(at + size..at + size + 2)?;
        at += size + 2;
        if size == 0 {
            return Some(at);
        }
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
