//! The real `bluegreen serve`.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::eventually;
use super::http::{self, Answer};
use super::port::{free_port, loopback};
use super::process::{Log, Process, guarded};

/// How a provider is started.
///
/// ```ignore
/// let provider = Options::new(CONFIG, &redis.url()).arg("--hold=2s").start().await;
/// ```
pub(crate) struct Options {
    config: String,
    store: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
    activated: bool,
    open_files: Option<u32>,
    wrapper: Vec<String>,
}

impl Options {
    pub(crate) fn new(config: &str, store: &str) -> Self {
        Self {
            config: config.into(),
            store: store.into(),
            args: Vec::new(),
            env: Vec::new(),
            activated: false,
            open_files: None,
            wrapper: Vec::new(),
        }
    }

    pub(crate) fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.into());
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Passes it a socket that listens already and outlives it, as systemd does (sd_listen_fds(3)).
    pub(crate) fn socket_activated(mut self) -> Self {
        self.activated = true;
        self
    }

    /// Started by another program, such as `valgrind`.
    pub(crate) fn under(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(ToString::to_string).collect();
        self
    }

    /// The system allows it no more open files than this.
    pub(crate) fn open_files(mut self, most: u32) -> Self {
        self.open_files = Some(most);
        self
    }

    /// Starts it, and waits until it listens. It may have no document yet.
    pub(crate) async fn start(self) -> Provider {
        let dir = tempfile::tempdir().unwrap();
        let (port, log) = (free_port(), Log::default());
        std::fs::write(dir.path().join("bluegreen.yml"), &self.config).unwrap();
        let socket = self
            .activated
            .then(|| TcpListener::bind(loopback(port)).unwrap());
        let process = spawn(&self, dir.path(), port, socket.as_ref(), &log);
        let mut provider = Provider {
            options: self,
            socket,
            dir,
            port,
            log,
            process,
        };
        provider.ready().await;
        provider
    }
}

/// A running provider, with a folder of its own: `bluegreen.yml`, and `state` for what it remembers.
pub(crate) struct Provider {
    options: Options,
    socket: Option<TcpListener>,
    dir: TempDir,
    port: u16,
    log: Log,
    process: Process,
}

impl Provider {
    pub(crate) fn address(&self) -> SocketAddr {
        loopback(self.port)
    }

    /// What Traefik polls: `http://127.0.0.1:PORT/traefik`
    pub(crate) fn url(&self) -> String {
        format!("http://{}/traefik", self.address())
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.dir.path().join("bluegreen.yml")
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub(crate) fn store(&self) -> &str {
        &self.options.store
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Replaces its config file, as an editor does: the new file takes the place of the old one.
    pub(crate) fn write_config(&self, text: &str) {
        let new = self.dir.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.config()).unwrap();
    }

    /// One GET on a connection of its own.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        let answer = http::get(self.address(), "localhost", path, &[]).await;
        answer.unwrap_or_else(|error| panic!("{path}: {error}\n{}", self.log))
    }

    pub(crate) async fn status(&self) -> Value {
        self.get("/status").await.json()
    }

    /// What it says of this instance; null where it knows none of that name.
    pub(crate) async fn instance(&self, id: &str) -> Value {
        let status = self.status().await;
        let instances = status["instances"].as_array().unwrap();
        let found = instances.iter().find(|instance| instance["id"] == id);
        found.cloned().unwrap_or(Value::Null)
    }

    /// Waits until it says this of the instance, and returns all that it says.
    pub(crate) async fn instance_has(
        &self,
        id: &str,
        field: &str,
        value: impl Into<Value>,
    ) -> Value {
        let value = value.into();
        let what = format!("{field} of {id} is {value}");
        eventually(&what, Duration::from_secs(15), async || {
            let instance = self.instance(id).await;
            if !instance.is_null() && instance[field] == value {
                Ok(instance)
            } else {
                Err(instance)
            }
        })
        .await
    }

    /// Waits for a line in its log.
    pub(crate) async fn log_contains(&self, text: &str) -> String {
        self.log.contains(text).await
    }

    /// SIGTERM; waits for the end, which must come soon, and returns it.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.process.wait(Duration::from_secs(10)).await
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Whether it does not run any more.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.process.ended().is_some()
    }

    /// SIGSTOP.
    pub(crate) fn stop(&self) {
        self.signal("STOP");
    }

    /// SIGCONT.
    pub(crate) fn cont(&self) {
        self.signal("CONT");
    }

    /// Any signal, such as `HUP`.
    pub(crate) fn signal(&self, signal: &str) {
        self.process.signal(signal);
    }

    /// Starts it again, on the same port and with the same state; kills it first if it still runs.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        let Self {
            options,
            dir,
            port,
            socket,
            ..
        } = self;
        self.process = spawn(options, dir.path(), *port, socket.as_ref(), &self.log);
        self.ready().await;
    }

    async fn ready(&mut self) {
        // What speaks TLS does not answer the plain question.
        if self
            .options
            .args
            .iter()
            .any(|arg| arg.starts_with("--tls-cert"))
        {
            self.log.contains("serving at https://").await;
            return;
        }
        let address = self.address();
        eventually(
            "bluegreen serve answers /healthz",
            Duration::from_secs(10),
            async || {
                if let Some(status) = self.process.ended() {
                    self.process.kill();
                    panic!("bluegreen serve ended with {status}\n{}", self.log);
                }
                match http::get(address, "localhost", "/healthz", &[]).await {
                    Ok(answer) if answer.status == 200 => Ok(()),
                    Ok(answer) => Err(format!("{answer:?}")),
                    Err(error) => Err(error),
                }
            },
        )
        .await;
    }
}

fn spawn(
    options: &Options,
    dir: &Path,
    port: u16,
    socket: Option<&TcpListener>,
    log: &Log,
) -> Process {
    // `exec` keeps the process, so that its id is the shell's, and its end the provider's.
    let mut script = String::new();
    if let Some(most) = options.open_files {
        script += &format!("ulimit -n {most}; ");
    }
    script += match socket {
        Some(_) => "export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" \"$@\" 3<&0 </dev/null",
        None => "exec \"$0\" \"$@\"",
    };
    let mut command = guarded("sh");
    command.args(["-c", &script]);
    command.args(&options.wrapper);
    command.arg(env!("CARGO_BIN_EXE_bluegreen"));
    clean_environment(&mut command);
    command
        .current_dir(dir)
        .args(["serve", "--store", &options.store]);
    command.arg("--listen").arg(loopback(port).to_string());
    command.arg("--config").arg(dir.join("bluegreen.yml"));
    command.arg("--state-dir").arg(dir.join("state"));
    command
        .args(&options.args)
        .envs(options.env.iter().map(|(name, value)| (name, value)));
    let stdin = socket.map_or_else(Stdio::null, |socket| {
        OwnedFd::from(socket.try_clone().unwrap()).into()
    });
    Process::spawn_with_stdin("bluegreen serve", &mut command, stdin, log)
}

/// The settings of whoever runs the tests must not reach the program.
pub(crate) fn clean_environment(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("BLUEGREEN_") {
            command.env_remove(name);
        }
    }
    command.env_remove("RUST_LOG").env("NO_COLOR", "1");
}
