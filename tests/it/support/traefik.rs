//! A real Traefik.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::eventually;
use super::http::{self, Answer};
use super::port::{free_port, loopback};
use super::process::{Log, Process, guarded};

/// Long enough for Traefik's worst backoff after one refused poll, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(15);

/// How a Traefik is started: where its configuration comes from, and more flags.
///
/// ```ignore
/// let traefik = Options::http(&provider.url()).header("Prefer", "wait=50").throttle("100ms").start().await;
/// ```
#[derive(Clone)]
pub(crate) struct Options {
    args: Vec<String>,
    entry_points: Vec<String>,
}

impl Options {
    /// The HTTP provider, with Traefik's own defaults except for the interval.
    pub(crate) fn http(endpoint: &str) -> Self {
        Self::new(format!("--providers.http.endpoint={endpoint}")).poll_interval("100ms")
    }

    /// The settings that the README recommends: polls are held, changes are applied at once.
    pub(crate) fn recommended(endpoint: &str, instance: &str) -> Self {
        Self::http(endpoint)
            .header("Prefer", "wait=1")
            .header("X-Traefik-Instance", instance)
            .throttle("100ms")
    }

    /// The file provider, watching a folder.
    pub(crate) fn file(dir: &Path) -> Self {
        Self::new(format!("--providers.file.directory={}", dir.display()))
            .arg("--providers.file.watch=true")
    }

    /// Traefik's own Redis provider.
    pub(crate) fn redis(port: u16) -> Self {
        Self::new(format!("--providers.redis.endpoints=127.0.0.1:{port}"))
    }

    fn new(provider: String) -> Self {
        Self {
            args: vec![provider],
            entry_points: vec!["traefik".into(), "web".into()],
        }
    }

    pub(crate) fn poll_interval(self, interval: &str) -> Self {
        self.arg(&format!("--providers.http.pollInterval={interval}"))
    }

    pub(crate) fn poll_timeout(self, timeout: &str) -> Self {
        self.arg(&format!("--providers.http.pollTimeout={timeout}"))
    }

    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        self.arg(&format!("--providers.http.headers.{name}={value}"))
    }

    pub(crate) fn throttle(self, duration: &str) -> Self {
        self.arg(&format!("--providers.providersThrottleDuration={duration}"))
    }

    /// The file provider as well, watching a folder.
    pub(crate) fn and_files(self, dir: &Path) -> Self {
        self.arg(&format!("--providers.file.directory={}", dir.display()))
    }

    /// Its own metrics, on an entrypoint of their own at this address.
    pub(crate) fn metrics(self, at: SocketAddr) -> Self {
        self.arg(&format!("--entryPoints.metrics.address={at}"))
            .arg("--metrics.prometheus=true")
            .arg("--metrics.prometheus.entryPoint=metrics")
    }

    /// One more entrypoint, on a free port, besides `web` and `traefik`.
    pub(crate) fn entry_point(mut self, name: &str) -> Self {
        self.entry_points.push(name.into());
        self
    }

    /// Any of Traefik's flags; of two for the same setting the later one counts.
    pub(crate) fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.into());
        self
    }

    pub(crate) async fn start(self) -> Traefik {
        for _ in 0..3 {
            let ports = self
                .entry_points
                .iter()
                .map(|name| (name.clone(), free_port()))
                .collect();
            let (dir, log) = (tempfile::tempdir().unwrap(), Log::default());
            let process = spawn(dir.path(), &self.args, &ports, &log);
            let mut traefik = Traefik {
                dir,
                args: self.args.clone(),
                ports,
                log,
                process,
            };
            match traefik.ready().await {
                Ok(()) => return traefik,
                // Another process was faster to take a port.
                Err(_) if traefik.log.count("address already in use") > 0 => {}
                Err(end) => panic!("traefik: {end}\n{}", traefik.log),
            }
        }
        panic!("no free ports for traefik in three attempts");
    }
}

/// A running Traefik.
pub(crate) struct Traefik {
    dir: TempDir,
    args: Vec<String>,
    ports: BTreeMap<String, u16>,
    log: Log,
    process: Process,
}

impl Traefik {
    /// Where an entrypoint listens: `web`, `traefik` (its API), or one of `Options::entry_point`.
    #[track_caller]
    pub(crate) fn address(&self, entry_point: &str) -> SocketAddr {
        loopback(
            *self
                .ports
                .get(entry_point)
                .unwrap_or_else(|| panic!("no entrypoint `{entry_point}`")),
        )
    }

    pub(crate) fn web(&self) -> SocketAddr {
        self.address("web")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// One request through the entrypoint `web`, on a connection of its own.
    pub(crate) async fn get(&self, host: &str, path: &str) -> Answer {
        self.get_with(host, path, &[]).await
    }

    pub(crate) async fn get_with(
        &self,
        host: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        let answer = http::get(self.web(), host, path, headers).await;
        answer.unwrap_or_else(|error| panic!("GET {host}{path}: {error}"))
    }

    /// What Traefik's API says, such as `/api/http/services`.
    pub(crate) async fn api(&self, path: &str) -> Value {
        let answer = http::get(self.address("traefik"), "localhost", path, &[]).await;
        answer
            .unwrap_or_else(|error| panic!("{path}: {error}"))
            .json()
    }

    /// The routers by name, such as `deals-api@http`, without Traefik's own.
    pub(crate) async fn routers(&self) -> BTreeMap<String, Value> {
        let all = self.api("/api/http/routers?per_page=1000").await;
        let all = all.as_array().unwrap().iter();
        let named = all.map(|router| (router["name"].as_str().unwrap().to_owned(), router.clone()));
        named
            .filter(|(name, _)| !name.ends_with("@internal"))
            .collect()
    }

    /// Waits until the color answers for the host.
    pub(crate) async fn wait_for(&self, host: &str, color: &str) {
        let what = format!("{color} answers for {host}");
        eventually(&what, PATIENCE, async || {
            let answer = http::get(self.web(), host, "/", &[]).await?;
            if answer.color() == Some(color) {
                Ok(())
            } else {
                Err(format!("{answer:?}"))
            }
        })
        .await;
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGTERM; waits for its end.
    pub(crate) async fn terminate(&mut self) {
        self.process.signal("TERM");
        self.process.wait(PATIENCE).await;
    }

    /// Starts it again on the same ports; kills it first if it still runs.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        self.process = spawn(self.dir.path(), &self.args, &self.ports, &self.log);
        self.ready()
            .await
            .unwrap_or_else(|end| panic!("traefik: {end}\n{}", self.log));
    }

    /// SIGSTOP: its connections stay open, nothing is answered or polled.
    pub(crate) fn stop(&self) {
        self.process.signal("STOP");
    }

    /// SIGCONT.
    pub(crate) fn cont(&self) {
        self.process.signal("CONT");
    }

    /// Waits until it answers `/ping`, or has ended. It may have no configuration yet.
    async fn ready(&mut self) -> Result<(), String> {
        let address = self.address("traefik");
        eventually("traefik answers /ping", PATIENCE, async || {
            if let Some(status) = self.process.ended() {
                self.process.kill();
                return Ok(Err(format!("ended with {status}")));
            }
            match http::get(address, "localhost", "/ping", &[]).await {
                Ok(answer) if answer.status == 200 => Ok(Ok(())),
                Ok(answer) => Err(format!("{answer:?}")),
                Err(error) => Err(error),
            }
        })
        .await
    }
}

fn spawn(dir: &Path, args: &[String], ports: &BTreeMap<String, u16>, log: &Log) -> Process {
    let mut command = guarded(binary());
    command.current_dir(dir);
    for (name, port) in ports {
        command.arg(format!("--entryPoints.{name}.address=127.0.0.1:{port}"));
    }
    // `insecure` puts the API on the entrypoint `traefik`. Nothing may leave the machine.
    command.args([
        "--api.insecure=true",
        "--ping=true",
        "--log.level=INFO",
        "--log.noColor=true",
    ]);
    command
        .args([
            "--global.checkNewVersion=false",
            "--global.sendAnonymousUsage=false",
        ])
        .args(args);
    Process::spawn("traefik", &mut command, log)
}

fn binary() -> PathBuf {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/traefik");
    let binary = std::env::var_os("BLUEGREEN_TRAEFIK").map_or(installed, PathBuf::from);
    assert!(
        binary.exists(),
        "no Traefik at {}: run scripts/install-tools, or set BLUEGREEN_TRAEFIK to one",
        binary.display()
    );
    binary
}
