//! The example's services, as processes: the whole site that a deployment of them is.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use hyper::Method;
use serde_json::Value;

use super::eventually;
use super::http::{self, Answer};
use super::port::{free_port, loopback};
use super::postgres::Postgres;
use super::process::{Log, Process, guarded};
use super::provider::{self, Provider};
use super::redis::Redis;
use super::stack::HOSTS;
use super::traefik::{self, Traefik};

/// The migration of an empty database included, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// One process of `deals`: `api`, `mcp` or `dashboard`. It keeps its port over restarts.
pub(crate) struct Service {
    name: &'static str,
    color: String,
    version: String,
    /// The API's database, or the others' API.
    upstream: String,
    port: u16,
    log: Log,
    process: Option<Process>,
}

impl Service {
    /// An API that is not started yet.
    pub(crate) fn api(color: &str, version: &str, database: &str) -> Self {
        Self::new("api", color, version, database.into())
    }

    fn new(name: &'static str, color: &str, version: &str, upstream: String) -> Self {
        Self {
            name,
            color: color.into(),
            version: version.into(),
            upstream,
            port: free_port(),
            log: Log::default(),
            process: None,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        loopback(self.port)
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Starts it, and waits until it is healthy.
    pub(crate) async fn start(&mut self) {
        self.spawn();
        self.healthy().await;
    }

    /// Starts it, without waiting for anything.
    pub(crate) fn spawn(&mut self) {
        let upstream = match self.name {
            "api" => "DATABASE_URL",
            _ => "API_URL",
        };
        let mut command = command(&[self.name]);
        command
            .env("LISTEN", self.address().to_string())
            .env("COLOR", &self.color)
            .env("VERSION", &self.version)
            .env(upstream, &self.upstream);
        let name = format!("{} {}", self.name, self.color);
        self.process = Some(Process::spawn(&name, &mut command, &self.log));
    }

    /// Waits until its `/health` is 200.
    pub(crate) async fn healthy(&mut self) {
        let what = format!("{} {} is healthy", self.name, self.color);
        eventually(&what, PATIENCE, async || {
            if let Some(status) = self.process.as_mut().and_then(Process::ended) {
                panic!("it ended with {status}\n{}", self.log);
            }
            match http::get(self.address(), "localhost", "/health", &[]).await {
                Ok(answer) if answer.status == 200 => Ok(()),
                Ok(answer) => Err(format!("{answer:?}")),
                Err(error) => Err(error),
            }
        })
        .await;
    }

    /// One GET on a connection of its own.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &Value::Null).await
    }

    /// One request on a connection of its own.
    pub(crate) async fn send(&self, method: Method, path: &str, body: &Value) -> Answer {
        let what = format!("{method} {path}");
        let answer = http::send(self.address(), method, "localhost", path, body).await;
        answer.unwrap_or_else(|error| panic!("{what}: {error}\n{}", self.log))
    }

    pub(crate) fn signal(&self, signal: &str) {
        self.process.as_ref().expect("it runs").signal(signal);
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// SIGTERM; waits for the end, and returns it.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.ended().await
    }

    /// Waits for its end, and returns it.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let process = self.process.as_mut().expect("it was started");
        process.wait(PATIENCE).await
    }
}

/// Everything that `deals` takes from its environment.
const SETTINGS: [&str; 7] = [
    "LISTEN",
    "COLOR",
    "VERSION",
    "DATABASE_URL",
    "API_URL",
    "PUBLIC_HOSTS",
    "RUST_LOG",
];

/// One color: its three services, each of which knows the API of its own color only.
pub(crate) struct Deployment {
    pub(crate) api: Service,
    pub(crate) mcp: Service,
    pub(crate) dashboard: Service,
}

impl Deployment {
    /// A deployment with its ports, that is not started yet.
    pub(crate) fn new(color: &str, version: &str, database: &str) -> Self {
        let api = Service::api(color, version, database);
        let of_api = |name| Service::new(name, color, version, api.url());
        Self {
            mcp: of_api("mcp"),
            dashboard: of_api("dashboard"),
            api,
        }
    }

    /// Starts all three, and waits until they are healthy.
    pub(crate) async fn start(&mut self) {
        for service in self.services() {
            service.spawn();
        }
        for service in self.services() {
            service.healthy().await;
        }
    }

    /// SIGTERM to all three; each must end by itself, and well.
    pub(crate) async fn stop(&mut self) {
        for service in self.services() {
            let status = service.terminate().await;
            assert!(status.success(), "{}: {status}", service.name);
        }
    }

    fn services(&mut self) -> [&mut Service; 3] {
        [&mut self.api, &mut self.mcp, &mut self.dashboard]
    }
}

/// The config for both colors, with a marker that one Traefik has at this port.
pub(crate) fn config(blue: &Deployment, green: &Deployment, marker: u16) -> String {
    let mut text = String::from("stacks:\n  deals:\n    entryPoints: [web]\n    services:\n");
    let services = [
        (&blue.api, &green.api),
        (&blue.mcp, &green.mcp),
        (&blue.dashboard, &green.dashboard),
    ];
    for (blue, green) in services {
        let (name, blue, green) = (blue.name, blue.url(), green.url());
        text += &format!(
            "      {name}: {{ rule: 'Host(`{name}.localhost`)', health: /health, \
             servers: {{ blue: '{blue}', green: '{green}' }} }}\n"
        );
    }
    format!(
        "{text}defaultCertificate: generated\nmarker: {{ entryPoint: marker, port: {marker} }}\n"
    )
}

/// Everything that is behind the address of the site, and Traefik there. Blue is version 1, green is version 2.
pub(crate) struct Site {
    pub(crate) traefik: Traefik,
    pub(crate) provider: Provider,
    pub(crate) blue: Deployment,
    pub(crate) green: Deployment,
    pub(crate) redis: Redis,
    pub(crate) postgres: Postgres,
}

impl Site {
    /// The site with blue, which has the traffic. Green is not started.
    pub(crate) async fn with_blue() -> Self {
        let redis = Redis::start_with(&["--appendonly", "yes", "--appendfsync", "always"]).await;
        let postgres = Postgres::start().await;
        let mut blue = Deployment::new("blue", "1", &postgres.url());
        let green = Deployment::new("green", "2", &postgres.url());
        blue.start().await;
        let marker = free_port();
        let config = config(&blue, &green, marker);
        let provider = provider::Options::new(&config, &redis.url()).start().await;
        let traefik = traefik::Options::recommended(&provider.url(), "edge-1")
            .arg(&format!("--entryPoints.marker.address=127.0.0.1:{marker}"))
            .start()
            .await;
        for host in HOSTS {
            traefik.wait_for(host, "blue").await;
        }
        provider.instance_has("edge-1", "confirmed", true).await;
        Self {
            traefik,
            provider,
            blue,
            green,
            redis,
            postgres,
        }
    }

    /// The site with both colors. Blue has the traffic.
    pub(crate) async fn start() -> Self {
        let mut site = Self::with_blue().await;
        site.green.start().await;
        site
    }

    /// One request through Traefik, to the host of a service, such as `api`.
    pub(crate) async fn send(
        &self,
        service: &str,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Answer {
        let (what, host) = (
            format!("{method} {service} {path}"),
            format!("{service}.localhost"),
        );
        let answer = http::send(self.traefik.web(), method, &host, path, body).await;
        answer.unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    pub(crate) async fn get(&self, service: &str, path: &str) -> Answer {
        self.send(service, Method::GET, path, &Value::Null).await
    }

    /// Creates a deal through Traefik, and submits it. Returns its id.
    pub(crate) async fn submitted(&self, title: &str) -> i64 {
        let deal = serde_json::json!({"title": title, "amount": 125_000, "currency": "EUR"});
        let created = self.send("api", Method::POST, "/deals", &deal).await;
        assert_eq!(created.status, 201, "{created:?}");
        let id = created.json()["id"].as_i64().unwrap();
        let path = format!("/deals/{id}/submit");
        let submitted = self.send("api", Method::POST, &path, &Value::Null).await;
        assert_eq!(submitted.status, 200, "{submitted:?}");
        id
    }
}

/// The program, which is built beside this one: by `cargo build` and `cargo test`, but not by `cargo test --test it`.
fn binary() -> &'static Path {
    static BINARY: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
        let binary = Path::new(env!("CARGO_BIN_EXE_bluegreen")).with_file_name("deals");
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/deals/src");
        match std::fs::metadata(&binary).and_then(|file| file.modified()) {
            Ok(built) if built > newest(&sources) => Ok(binary),
            Ok(_) => Err(format!("{} is older than its sources", binary.display())),
            Err(error) => Err(format!("{}: {error}", binary.display())),
        }
    });
    let binary = BINARY.as_ref();
    binary.unwrap_or_else(|wrong| panic!("{wrong}: run `cargo build`"))
}

/// When a file in the folder was changed last.
fn newest(folder: &Path) -> SystemTime {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let times = entries.map(|entry| match entry.path() {
        path if path.is_dir() => newest(&path),
        path => path.metadata().unwrap().modified().unwrap(),
    });
    times.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

/// A run of it. The settings of whoever runs the tests do not reach it.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = guarded(binary());
    for name in SETTINGS {
        command.env_remove(name);
    }
    command.args(args);
    command
}
