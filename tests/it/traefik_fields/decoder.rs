//! A real Traefik that is asked which documents it takes.
//!
//! Documents go through its file provider, whose decoder its HTTP provider shares: that one takes the
//! next document at once, while the HTTP provider backs off after every one that it refuses.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long Traefik may take for a document; it takes a few milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// What Traefik logs when it has decoded a document.
const RECEIVED: &str = "Configuration received";

/// What Traefik logs when it drops the document of its file provider.
const REFUSED_FILE: &str = "Error occurred during watcher callback";

/// What Traefik logs when it drops the document of its HTTP provider.
const REFUSED_POLL: &str = "cannot decode configuration data";

/// A running Traefik; it ends with this value.
pub(super) struct Decoder {
    process: Child,
    lines: Receiver<String>,
    folder: TempDir,
    documents: usize,
}

impl Decoder {
    /// Starts a Traefik that reads a file.
    pub(super) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut decoder = Self::launch(folder, |folder| {
            let file = folder.path().join("document.yml");
            std::fs::write(&file, marked(&json!({}), "start").to_string()).unwrap();
            format!("--providers.file.filename={}", file.display())
        });
        decoder.received("start");
        decoder
    }

    /// Starts a Traefik that polls a document over HTTP, and returns what it decoded.
    pub(super) fn polled(document: &Value) -> Value {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let body = marked(document, "polled").to_string();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}", body.len());
                let _ = write!(stream, "{head}\r\nConnection: close\r\n\r\n{body}");
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let endpoint = format!("--providers.http.endpoint=http://{address}");
        Self::launch(folder, |_| endpoint).received("polled")
    }

    fn launch(folder: TempDir, provider: impl FnOnce(&TempDir) -> String) -> Self {
        let binary = binary();
        let mut process = Command::new(&binary)
            .arg(provider(&folder))
            .args([
                "--providers.providersThrottleDuration=0s",
                "--entryPoints.web.address=127.0.0.1:0",
                "--global.checkNewVersion=false",
                "--global.sendAnonymousUsage=false",
                "--log.level=DEBUG",
                "--log.format=json",
            ])
            .current_dir(folder.path())
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("no Traefik can be started at `{}`: {e}", binary.display()));
        let log = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let relevant = [RECEIVED, REFUSED_FILE, REFUSED_POLL];
            for line in log.lines().map_while(Result::ok) {
                if relevant.iter().any(|r| line.contains(r)) && sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self {
            process,
            lines,
            folder,
            documents: 0,
        }
    }

    /// Has Traefik decode a document: what it made of it, or why it dropped it.
    pub(super) fn decode(&mut self, document: &Value) -> Result<Value, String> {
        let marker = self.put(document);
        loop {
            let line = self.line();
            if let Some(config) = configuration(&line, &marker) {
                return Ok(config);
            }
            if line.contains(REFUSED_FILE) {
                // A good document, so that the next complaint is about the next document.
                let fence = self.put(&json!({}));
                self.received(&fence);
                return Err(line);
            }
        }
    }

    /// Replaces the document in one step, and returns the marker in it.
    fn put(&mut self, document: &Value) -> String {
        self.documents += 1;
        let marker = format!("document-{}", self.documents);
        let new = self.folder.path().join("new");
        std::fs::write(&new, marked(document, &marker).to_string()).unwrap();
        std::fs::rename(&new, self.folder.path().join("document.yml")).unwrap();
        marker
    }

    /// Waits for the document with a marker.
    fn received(&mut self, marker: &str) -> Value {
        loop {
            let line = self.line();
            if let Some(config) = configuration(&line, marker) {
                return config;
            }
            assert!(!line.contains(REFUSED_POLL), "Traefik refused it: {line}");
        }
    }

    fn line(&self) -> String {
        let line = self.lines.recv_timeout(PATIENCE);
        line.unwrap_or_else(|e| panic!("Traefik says nothing more: {e}"))
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The document with a service that marks it, in a part that it does not use itself.
fn marked(document: &Value, marker: &str) -> Value {
    let server = |field: &str, value: &str| json!({ "services": { marker: { "loadBalancer": { "servers": [{ field: value }] } } } });
    let mut document = document.clone();
    if document.get("udp").is_none() {
        document["udp"] = server("address", "127.0.0.1:9");
    } else if document.get("http").is_none() {
        document["http"] = server("url", "http://127.0.0.1:9");
    } else {
        document["udp"]["services"][marker] = json!({});
    }
    document
}

/// The configuration in a line of the log, if it is the one with this marker.
fn configuration(line: &str, marker: &str) -> Option<Value> {
    if !line.contains(RECEIVED) || !line.contains(&format!("\"{marker}\"")) {
        return None;
    }
    let mut line: Value = serde_json::from_str(line).ok()?;
    Some(line["config"].take())
}

fn binary() -> PathBuf {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/traefik");
    let binary = std::env::var_os("BLUEGREEN_TRAEFIK").unwrap_or_else(|| default.into());
    let binary = PathBuf::from(binary);
    assert!(
        binary.is_file(),
        "these tests need Traefik 3.7 at `{}`, or where `BLUEGREEN_TRAEFIK` says",
        binary.display(),
    );
    binary
}
