//! A Docker engine, and the projects of the compose files on it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use super::Output;
use crate::support::eventually;
use crate::support::process::guarded;
use crate::support::provider::clean_environment;

/// For what builds an image, too.
const PATIENCE: Duration = Duration::from_secs(900);

/// A project: its name in this test, and its file.
#[derive(Clone, Copy)]
pub(super) struct Project {
    pub(super) name: &'static str,
    file: &'static str,
}

/// The README's names begin with `deals`; the test's volumes must never be somebody's.
pub(super) const PROXY: Project = Project {
    name: "bluegreen-test",
    file: "proxy.yml",
};
pub(super) const BLUE: Project = Project {
    name: "bluegreen-test-blue",
    file: "compose.blue.yml",
};
pub(super) const GREEN: Project = Project {
    name: "bluegreen-test-green",
    file: "compose.green.yml",
};

/// The network that all of them share.
const NETWORK: &str = "deals";

/// The engine, by its command line; what this test started there ends with it.
pub(super) struct Engine {
    pub(super) compose: &'static [&'static str],
}

impl Engine {
    /// None where no engine runs, or there is no Compose.
    ///
    /// # Panics
    ///
    /// The stack runs there already.
    pub(super) async fn new() -> Option<Self> {
        let works = async |command: &[&str]| run(command, "").await.code == 0;
        if !works(&["docker", "version"]).await {
            return None;
        }
        let compose: &[&str] = if works(&["docker", "compose", "version"]).await {
            &["docker", "compose"]
        } else if works(&["docker-compose", "version"]).await {
            &["docker-compose"]
        } else {
            return None;
        };
        let engine = Self { compose };
        // What an earlier run left, that was killed.
        engine.end();
        let taken = works(&["docker", "network", "inspect", NETWORK]).await;
        assert!(
            !taken,
            "the network `{NETWORK}` exists: the stack runs here, and this test would be in its way"
        );
        Some(engine)
    }

    /// The folder of the compose files.
    pub(super) fn root(&self) -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
    }

    /// The config that proxy.yml mounts.
    pub(super) fn config(&self) -> PathBuf {
        self.root().join("examples/bluegreen.yml")
    }

    /// `docker compose up -d`.
    pub(super) async fn up(&self, project: Project, args: &[&str], version: &str) {
        let args = [&["up", "-d"], args].concat();
        self.compose(project, &args, version).await;
    }

    /// `docker compose build`.
    pub(super) async fn build(&self, project: Project) {
        self.compose(project, &["build"], "").await;
    }

    /// A command as it is typed, with the test's projects in the place of the README's.
    pub(super) async fn shell(&self, command: &str) -> Output {
        let compose = self.compose.join(" ");
        let proxy = format!("{compose} -p {} -f {}", PROXY.name, PROXY.file);
        let names = [
            (
                "docker compose -f proxy.yml exec",
                format!("{proxy} exec -T"),
            ),
            ("docker compose -f proxy.yml", proxy),
            ("docker compose", compose),
            ("deals-blue", BLUE.name.to_owned()),
            ("deals-green", GREEN.name.to_owned()),
        ];
        let mut typed = command.to_owned();
        for (readme, ours) in names {
            typed = typed.replace(readme, &ours);
        }
        if self.compose == ["docker-compose"] {
            typed = format!("export DOCKER_BUILDKIT=0\n{typed}");
        }
        run(&["bash", "-c", &typed], "").await
    }

    /// `docker compose down`: the containers go, the volumes stay.
    pub(super) async fn down(&self, project: Project) {
        self.compose(project, &["down"], "").await;
    }

    /// `docker compose kill`: SIGKILL, and nobody starts it again.
    pub(super) async fn kill(&self, project: Project, service: &str) {
        self.compose(project, &["kill", service], "").await;
    }

    /// `bluegreen ...` in its container; it has to end well.
    pub(super) async fn bluegreen(&self, command: &str) -> Output {
        let command: Vec<_> = command.split(' ').collect();
        let exec = ["exec", "-T", "bluegreen", "bluegreen"];
        self.compose(PROXY, &[&exec[..], &command].concat(), "")
            .await
    }

    /// `redis-cli ...` in its container; returns what it prints.
    pub(super) async fn redis(&self, command: &str) -> String {
        let command: Vec<_> = command.split(' ').collect();
        let exec = ["exec", "-T", "redis", "redis-cli"];
        let output = self
            .compose(PROXY, &[&exec[..], &command].concat(), "")
            .await;
        output.stdout.trim_end().to_owned()
    }

    /// Waits until all containers of the project, which are this many, are healthy.
    pub(super) async fn all_healthy(&self, project: Project, containers: usize) {
        let what = format!("{containers} healthy containers of {}", project.name);
        let label = format!("label=com.docker.compose.project={}", project.name);
        eventually(&what, Duration::from_secs(90), async || {
            let listed = run(&["docker", "ps", "-q", "--filter", &label], "").await;
            let ids = listed.stdout.lines();
            let inspect: Vec<_> = ["docker", "inspect"].into_iter().chain(ids).collect();
            let inspected = run(&inspect, "").await;
            let all: Vec<Value> = serde_json::from_str(&inspected.stdout).unwrap_or_default();
            let healthy = |c: &&Value| c["State"]["Health"]["Status"] == "healthy";
            if all.iter().filter(healthy).count() == containers {
                return Ok(());
            }
            let state = |c: &Value| format!("{}: {}", c["Name"], c["State"]);
            Err(all.iter().map(state).collect::<Vec<_>>().join("\n"))
        })
        .await;
    }

    /// Runs Compose, which has to end well.
    async fn compose(&self, project: Project, args: &[&str], version: &str) -> Output {
        let of = ["-p", project.name, "-f", project.file];
        let command = [self.compose, &of, args].concat();
        let output = run(&command, version).await;
        assert_eq!(
            output.code, 0,
            "{command:?}\n{}\n{}",
            output.stdout, output.stderr
        );
        output
    }

    /// Ends all that this test has started, and takes away what it has written.
    pub(super) fn end(&self) {
        for project in [GREEN, BLUE, PROXY] {
            let mut command = std::process::Command::new(self.compose[0]);
            command.current_dir(self.root()).args(&self.compose[1..]);
            command.args(["-p", project.name, "-f", project.file]);
            command.args(["down", "--volumes", "--timeout", "1"]);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            let _ = command.status();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for project in [PROXY, BLUE, GREEN] {
                let mut logs = std::process::Command::new(self.compose[0]);
                logs.current_dir(self.root()).args(&self.compose[1..]);
                logs.args(["-p", project.name, "-f", project.file]);
                let logs = logs.args(["logs", "--no-color", "--tail=40"]).output();
                let logs = logs.map(|output| output.stdout).unwrap_or_default();
                eprintln!("--- {}\n{}", project.name, String::from_utf8_lossy(&logs));
            }
        }
        self.end();
    }
}

async fn run(command: &[&str], version: &str) -> Output {
    let mut process = guarded(command[0]);
    if command[0] == "docker-compose" {
        // Beside it there may be no buildx, without which there is the old builder only.
        process.env("DOCKER_BUILDKIT", "0");
    }
    clean_environment(&mut process);
    process.args(&command[1..]);
    process.env("VERSION", version);
    process.current_dir(env!("CARGO_MANIFEST_DIR"));
    let mut process = tokio::process::Command::from(process);
    process.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, process.output()).await;
    let failed = |error: String| Output {
        code: -1,
        stdout: String::new(),
        stderr: error,
    };
    match output {
        Err(_) => failed(format!("it runs for more than {PATIENCE:?}")),
        Ok(Err(error)) => failed(error.to_string()),
        Ok(Ok(output)) => Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        },
    }
}
