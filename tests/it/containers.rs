//! `verify` and the containers of a color, on a real Docker engine.
//!
//! The image is Traefik's static binary, which can be healthy, unhealthy, run, and end with any exit code. Containers
//! and image are this test's own, by names of their own, and end with it.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::support::cli::Cli;
use crate::support::process::guarded;
use crate::support::redis::{Redis, tool};
use crate::support::stack::Stack;

/// One compose project, as Docker's labels make it.
struct Project {
    name: String,
    image: String,
}

impl Project {
    /// None where no engine runs here, which is said aloud.
    fn new(test: &str) -> Option<Self> {
        let name = format!("bluegreen-{test}-{}", std::process::id());
        let project = Self {
            image: format!("{name}:test"),
            name,
        };
        if !project.docker(&["version"]).0 {
            eprintln!("SKIPPED: no Docker engine runs here, so {test} was not tested");
            return None;
        }
        let traefik = tool("traefik");
        let mut packed = Command::new("tar")
            .args(["-c", "-C"])
            .arg(traefik.parent().unwrap())
            .args(["--dereference", "traefik"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let check = json!(["/traefik", "healthcheck", "--ping=true"]);
        let imported = guarded("docker")
            .args([
                "import",
                "--change",
                &format!("HEALTHCHECK --interval=1s --retries=1 CMD {check}"),
            ])
            .args(["-", &project.image])
            .stdin(packed.stdout.take().unwrap())
            .output()
            .unwrap();
        assert!(imported.status.success(), "{imported:?}");
        assert!(packed.wait().unwrap().success());
        Some(project)
    }

    /// Starts a container of a service: Docker's options, then what Traefik is told.
    fn start(&self, service: &str, options: &[&str], arguments: &[&str]) {
        let name = format!("{}-{service}", self.name);
        let label =
            |label: &str, value: &str| format!("--label=com.docker.compose.{label}={value}");
        let (project, service) = (label("project", &self.name), label("service", service));
        let run = [
            "run",
            "-d",
            "--network=none",
            "--name",
            &name,
            &project,
            &service,
        ];
        let command = [&run, options, &[&self.image, "/traefik"], arguments].concat();
        let (started, output) = self.docker(&command);
        assert!(started, "{output}");
    }

    /// Whether it did, and what it said.
    fn docker(&self, arguments: &[&str]) -> (bool, String) {
        let output = guarded("docker").args(arguments).output();
        output.map_or((false, String::new()), |output| {
            let text = [output.stdout, output.stderr].concat();
            (
                output.status.success(),
                String::from_utf8_lossy(&text).into_owned(),
            )
        })
    }

    /// `verify green`, which knows this project as green's.
    fn verify(&self, stack: &Stack, redis: &Redis, timeout: &str) -> (tempfile::TempDir, Cli) {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("bluegreen.yml");
        let (head, services) = stack
            .config()
            .split_once("    services:")
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        let text = format!(
            "{head}    containers: {{ green: {} }}\n    services:{services}",
            self.name
        );
        std::fs::write(&config, text).unwrap();
        let run = Cli::new(&["verify", "green", "--timeout", timeout]);
        (dir, run.config(config).store(&redis.url()))
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let filter = format!("label=com.docker.compose.project={}", self.name);
        let (_, ids) = self.docker(&["ps", "-aq", "--filter", &filter]);
        let ids: Vec<_> = ids.lines().collect();
        self.docker(&[&["rm", "-f"], &ids[..]].concat());
        self.docker(&["rmi", "-f", &self.image]);
    }
}

#[tokio::test]
async fn a_color_whose_containers_are_healthy_passes_and_waits_for_those_that_start() {
    let Some(project) = Project::new("healthy") else {
        return;
    };
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    project.start("api", &[], &["--ping=true"]);
    project.start("worker", &["--no-healthcheck"], &[]);
    // A job that others wait for, and one that was run by hand: neither has to run.
    project.start("migrate", &["--no-healthcheck"], &["version"]);
    project.start(
        "dashboard",
        &[
            "--no-healthcheck",
            "--label=com.docker.compose.depends_on=migrate:service_completed_successfully:false",
        ],
        &[],
    );
    project.start(
        "run",
        &["--no-healthcheck", "--label=com.docker.compose.oneoff=True"],
        &["version"],
    );
    let (_dir, verify) = project.verify(&stack, &redis, "30");
    let name = &project.name;
    let verify = verify.stdout(&format!("passed      containers  {name}"));
    verify
        .stdout(&format!("{name}-api is healthy"))
        .stdout(&format!("{name}-worker runs"))
        .stdout(&format!("{name}-migrate has completed"))
        // Whether it was healthy at once is Docker's to say.
        .any_stderr()
        .run()
        .await;
}

#[tokio::test]
async fn a_container_that_does_not_run_well_fails_the_color() {
    let Some(project) = Project::new("unwell") else {
        return;
    };
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let name = &project.name;
    project.start("sick", &[], &[]);
    project.start("paused", &["--no-healthcheck"], &[]);
    project.start("ended", &["--no-healthcheck"], &["version"]);
    project.start(
        "looping",
        &["--no-healthcheck", "--restart=always"],
        &["--no-such-flag"],
    );
    project.docker(&["pause", &format!("{name}-paused")]);
    project.docker(&["wait", &format!("{name}-ended")]);
    let (_dir, verify) = project.verify(&stack, &redis, "6");
    let run = verify.code(3).any_stderr().any_stdout().run().await;
    for said in [
        format!("failed      containers  {name}"),
        format!("{name}-sick is unhealthy"),
        format!("{name}-paused is paused"),
        format!("{name}-ended has exited with code 0"),
        ", restarted ".to_owned(),
    ] {
        assert!(run.stdout.contains(&said), "{said}: {run:?}");
    }
}

#[tokio::test]
async fn without_an_engine_containers_are_skipped_and_one_that_does_not_answer_is_unmeasured() {
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("bluegreen.yml");
    let text = stack.config().replacen(
        "    services:",
        "    containers: { green: shop-green }\n    services:",
        1,
    );
    std::fs::write(&config, text).unwrap();
    let verify = |socket: &str| {
        let host = format!("unix://{}", dir.path().join(socket).display());
        let run = Cli::new(&["verify", "green", "--timeout", "1"]);
        run.config(config.clone())
            .store(&redis.url())
            .env("DOCKER_HOST", &host)
    };
    let verify_without = verify("none.sock")
        .stdout("skipped     containers  shop-green: there is no Docker engine here");
    // Nothing else is looked for in this config.
    verify_without
        .code(1)
        .stderr("nothing to verify")
        .run()
        .await;
    // A socket that an engine has left.
    drop(std::os::unix::net::UnixListener::bind(dir.path().join("left.sock")).unwrap());
    let run = verify("left.sock")
        .code(1)
        .any_stdout()
        .any_stderr()
        .run()
        .await;
    assert!(
        run.stdout.contains("unmeasured  containers  shop-green"),
        "{run:?}"
    );
    assert!(run.stdout.contains("can't be asked"), "{run:?}");
}

/// As `docker context create` and `docker context use` leave it.
#[tokio::test]
async fn the_engine_is_that_of_dockers_current_context() {
    let Some(project) = Project::new("context") else {
        return;
    };
    let (redis, stack) = (Redis::start().await, Stack::start().await);
    project.start("api", &["--no-healthcheck"], &[]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    for (name, host) in [
        ("here", "unix:///var/run/docker.sock"),
        ("far", "ssh://far.example"),
    ] {
        let host = format!("host={host}");
        let create = [
            "--config", path, "context", "create", name, "--docker", &host,
        ];
        let (created, output) = project.docker(&create);
        assert!(created, "{output}");
    }
    let verify = |context: &str| {
        let (used, output) = project.docker(&["--config", path, "context", "use", context]);
        assert!(used, "{output}");
        let (dir, run) = project.verify(&stack, &redis, "15");
        let run = run.env("DOCKER_CONFIG", path);
        (dir, run.env("DOCKER_HOST", "").env("DOCKER_CONTEXT", ""))
    };
    let (_dir, here) = verify("here");
    let passed = format!("passed      containers  {}", project.name);
    here.stdout(&passed).any_stderr().run().await;
    let (_dir, far) = verify("far");
    let run = far.code(1).any_stdout().any_stderr().run().await;
    for said in [
        &format!("unmeasured  containers  {}", project.name),
        "the Docker context `far` names ssh://far.example, which is reached over SSH",
    ] {
        assert!(run.stdout.contains(said), "{said}: {run:?}");
    }
}
