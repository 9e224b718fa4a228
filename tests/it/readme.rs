//! The README's own steps, as they are written there.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::support::eventually;
use crate::support::port::{free_port, loopback};
use crate::support::process::guarded;
use crate::support::provider::clean_environment;

/// For one step.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command of the README, and what its comment says of it.
pub(crate) struct Step {
    pub(crate) command: String,
    pub(crate) comment: Option<String>,
}

/// The commands in the first block of shell after a heading, or in a later one.
pub(crate) fn steps(heading: &str, block: usize) -> Vec<Step> {
    let text = self::block(heading, "sh", block).replace("\\\n", "");
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| match line.split_once(" # ") {
            None => (line, None),
            Some((command, comment)) => (command, Some(comment.trim().to_owned())),
        })
        .map(|(command, comment)| Step {
            command: command.trim().to_owned(),
            comment,
        })
        .collect()
}

/// A block of this language after a heading.
fn block(heading: &str, language: &str, number: usize) -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let (_, section) = readme
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("no section `{heading}`"));
    let section = section.split("\n## ").next().unwrap();
    let fence = format!("\n```{language}\n");
    let mut blocks = section.split(&fence).skip(1);
    let block = blocks.nth(number).expect("the section has the block");
    block.split("\n```").next().unwrap().to_owned()
}

/// The arguments of `redis-cli ACL SETUSER USER …` in the README.
pub(crate) fn rights_of(user: &str) -> Vec<String> {
    let readme = include_str!("../../README.md").replace("\\\n", " ");
    let line = readme.lines().find_map(|line| {
        let line = line.trim().strip_prefix("redis-cli ")?;
        let is_of_user = line.starts_with(&format!("ACL SETUSER {user} "));
        is_of_user.then(|| line.to_owned())
    });
    let line = line.unwrap_or_else(|| panic!("no line for {user}"));
    let words = line.split_whitespace();
    words
        .map(|word| word.trim_matches('\'').to_owned())
        .collect()
}

const BY_HAND: &str = "By hand, from nothing";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_hand_from_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let redis = free_port();
    let mut elsewhere = BTreeMap::from([
        ("/tmp/shop".to_owned(), dir.path().display().to_string()),
        (
            "redis-server ".to_owned(),
            format!("redis-server --port {redis} "),
        ),
        ("redis-cli ".to_owned(), format!("redis-cli -p {redis} ")),
    ]);
    let ports = ["8091", "8092", "8000", "8080", "9000"];
    elsewhere.extend(ports.map(|port| (port.to_owned(), free_port().to_string())));
    let serve = format!("bluegreen serve --listen 127.0.0.1:{} ", elsewhere["9000"]);
    elsewhere.insert("bluegreen serve ".to_owned(), serve);
    let moved = |text: &str| replace(text, &elsewhere);
    let config = block(BY_HAND, "yaml", 0);
    std::fs::write(dir.path().join("bluegreen.yml"), moved(&config)).unwrap();
    let store = format!("redis://127.0.0.1:{redis}");
    let mut shell = Shell::start(&[("BLUEGREEN_STORE", &store)]);
    let mut answers = Vec::new();
    for step in steps(BY_HAND, 0).into_iter().chain(steps(BY_HAND, 1)) {
        let command = moved(&step.command);
        if !command.starts_with("curl ") {
            shell.run(&command).await;
            continue;
        }
        // Who types has seen by then that it runs.
        let expected = step.comment.expect("it says what comes");
        for _ in 0..200 {
            answers.push(shell.run_any(&command).await.1);
            if answers.last() == Some(&expected) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(answers.last(), Some(&expected), "{command}: {answers:?}");
    }
    let status = shell.run("bluegreen status").await;
    assert!(status.contains("shop: blue"), "{status}");
    assert!(status.contains("edge-1"), "{status}");
}

/// The text with each of these in another's place, in one go: what is put in place stays.
pub(crate) fn replace(text: &str, by: &BTreeMap<String, String>) -> String {
    let mut replaced = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let found = by
            .iter()
            .find_map(|(old, new)| Some((rest.strip_prefix(old)?, new)));
        rest = match found {
            Some((after, new)) => {
                replaced.push_str(new);
                after
            }
            None => {
                replaced.push(next);
                &rest[next.len_utf8()..]
            }
        };
    }
    replaced
}

/// A shell to which one command after the other is typed. It ends with all that it has started.
struct Shell {
    child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Shell {
    /// In the folder of the README.
    fn start(environment: &[(&str, &str)]) -> Self {
        let mut command = guarded("bash");
        clean_environment(&mut command);
        command
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0);
        let mut child = tokio::process::Command::from(command).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            child,
            stdin,
            stdout,
        }
    }

    /// Runs a command, which has to end well; what it prints. What runs on is waited for until it listens.
    async fn run(&mut self, command: &str) -> String {
        // What it says would be in the way of what is asked for.
        let typed = match command.strip_suffix('&') {
            Some(command) => format!("{command} >>log 2>&1 &"),
            None => command.to_owned(),
        };
        let (status, printed) = self.run_any(&typed).await;
        assert_eq!(status, "0", "{command}: {printed}");
        if command.ends_with('&') {
            for port in ports(command) {
                let what = format!("`{command}` listens at {port}");
                eventually(&what, PATIENCE, async || {
                    let connected = tokio::net::TcpStream::connect(loopback(port)).await;
                    connected.map(drop).map_err(|error| error.to_string())
                })
                .await;
            }
        }
        printed
    }

    /// Runs a command; how it ended, and what it printed.
    async fn run_any(&mut self, command: &str) -> (String, String) {
        const END: &str = "--- ended: ";
        let typed = format!("{command}\necho \"{END}$?\"\n");
        self.stdin.write_all(typed.as_bytes()).await.unwrap();
        let mut printed = Vec::new();
        loop {
            let line = tokio::time::timeout(PATIENCE, self.stdout.next_line()).await;
            let line = line.unwrap_or_else(|_| panic!("`{command}` does not end"));
            let line = line.unwrap().expect("the shell runs");
            // What was printed before may be without an end of line.
            if let Some((last, status)) = line.split_once(END) {
                printed.push(last.to_owned());
                return (status.to_owned(), printed.join("\n").trim_end().to_owned());
            }
            printed.push(line);
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let group = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(group) = group.and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// The ports that a command names to listen at: all but that of whom it polls.
fn ports(command: &str) -> Vec<u16> {
    let words = command.split_whitespace();
    let words = words.filter(|word| !word.contains("endpoint="));
    let last = words.filter_map(|word| word.rsplit([':', '=']).next()?.parse().ok());
    last.filter(|port| *port > 1000).collect()
}
