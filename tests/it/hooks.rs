//! Hooks as they run: real commands, and requests to a real server.

mod call;
mod command;
mod receiver;

use std::sync::Mutex;

use bluegreen::color::Color;
use bluegreen::config;
use bluegreen::hook::{Hooks, Stage};
use bluegreen::rollout::hook::{HookFailed, Said, Told, run};
use bluegreen::rollout::place::Place;
use tempfile::TempDir;

/// The hooks of a stack, in the folder of its config.
struct Site {
    dir: TempDir,
    hooks: Hooks,
    /// What was told, a line each.
    told: Mutex<Vec<String>>,
}

impl Site {
    /// With this below `hooks`.
    fn of(hooks: &str) -> Self {
        let text = format!(
            "stacks:\n  s:\n    services:\n      a: {{ rule: Host(`a`), servers: {{ blue: http://a, green: http://b }} }}\n    hooks:\n{hooks}\n"
        );
        let loaded = config::parse(vec![("bluegreen.yml".into(), text)], &|_| None);
        let mut config = loaded.unwrap_or_else(|report| panic!("{report}")).config;
        Self {
            dir: tempfile::tempdir().unwrap(),
            hooks: config.stacks.remove("s").unwrap().hooks,
            told: Mutex::default(),
        }
    }

    /// Runs those of this stage of a flip from blue to green.
    async fn run(&self, stage: Stage) -> Result<(), HookFailed> {
        self.run_for(&flip(stage, &green())).await
    }

    async fn run_for(&self, told: &Told<'_>) -> Result<(), HookFailed> {
        let tell = |said: Said<'_>| {
            let line = match said {
                Said::Began(what) => format!("# {what}"),
                Said::Line(line) => String::from_utf8_lossy(line).into_owned(),
            };
            self.told.lock().unwrap().push(line);
        };
        run(&self.hooks, told, &self.place(), &tell).await
    }

    fn place(&self) -> Place {
        Place {
            folder: self.dir.path().to_owned(),
            config: self.dir.path().join("bluegreen.yml"),
            store: Some("file:/var/lib/store".to_owned()),
        }
    }

    /// What was told so far.
    fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }
}

fn green() -> Color {
    "green".parse().unwrap()
}

/// What the hooks of a flip from blue to green are told.
fn flip(stage: Stage, green: &Color) -> Told<'_> {
    Told {
        stage,
        stack: "s",
        color: green,
        from: Some("blue"),
        to: "green",
        rollout: "r-1",
        by: "ann@web1",
        why: "release \"42\" & more",
    }
}
