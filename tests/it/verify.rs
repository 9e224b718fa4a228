//! `verify`: what it finds out of a color and of production, and how it says so.

mod answer;
mod command;
mod desk;
mod health;
mod production;
mod steps;
pub(crate) mod tls;

use tempfile::TempDir;

use crate::support::cli::Cli;

/// A config of one stack in a folder of its own, and a store that nobody needs.
struct Verify {
    dir: TempDir,
}

impl Verify {
    /// With these lines of the stack `s`, indented by four spaces.
    fn of(stack: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let text = format!("stacks:\n  s:\n{stack}");
        std::fs::write(dir.path().join("bluegreen.yml"), text).unwrap();
        Self { dir }
    }

    /// `verify green` and more; what it says to stderr is the test's business.
    fn green(&self, flags: &[&str]) -> Cli {
        let run = Cli::new(&[&["verify", "green"], flags].concat()).any_stderr();
        let store = format!("file:{}", self.dir.path().join("store").display());
        run.config(self.dir.path().join("bluegreen.yml"))
            .store(&store)
    }
}

/// A service that has these servers in green, as YAML.
fn service(name: &str, green: &str) -> String {
    format!(
        "      {name}: {{ rule: Host(`{name}.localhost`), health: /health, servers: {{ blue: http://127.0.0.1:1, green: {green} }} }}\n"
    )
}
