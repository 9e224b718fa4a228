//! One child process: killed on drop, its output captured and shown when the test fails.

use std::ffi::OsStr;
use std::fmt::Display;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::eventually;

/// All times in shown logs count from here, so that the logs of several processes can be laid side by side.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A command whose process the kernel kills when the thread that started it ends, however that happens.
///
/// The thread, not the process: so start it from the test's own body (or a worker of its runtime), and never from
/// `spawn_blocking`, whose threads end when they are idle.
pub(crate) fn guarded(program: impl AsRef<OsStr>) -> Command {
    static SETPRIV: LazyLock<bool> = LazyLock::new(|| {
        let mut probe = Command::new("setpriv");
        probe
            .args(["--pdeathsig", "KILL", "true"])
            .stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success())
    });
    if !*SETPRIV {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command
}

/// A running child process.
pub(crate) struct Process {
    name: String,
    child: Child,
    log: Log,
    readers: [JoinHandle<()>; 2],
}

impl Process {
    /// Starts the command. Its stdout and stderr go to the log, which may hold an earlier run's lines already.
    pub(crate) fn spawn(name: &str, command: &mut Command, log: &Log) -> Self {
        Self::spawn_with_stdin(name, command, Stdio::null(), log)
    }

    /// The same, with something of ours as its stdin.
    pub(crate) fn spawn_with_stdin(
        name: &str,
        command: &mut Command,
        stdin: Stdio,
        log: &Log,
    ) -> Self {
        log.push(format!("--- starting {name}"));
        let mut child = command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        Self {
            name: name.to_owned(),
            readers: [log.follow(stdout), log.follow(stderr)],
            child,
            log: log.clone(),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Sends a signal, such as `STOP`.
    pub(crate) fn signal(&self, signal: &str) {
        // The shell's own `kill`: a minimal machine has no other.
        let script = format!("kill -{signal} {}", self.pid());
        let status = Command::new("sh").args(["-c", &script]).status().unwrap();
        assert!(status.success(), "cannot send SIG{signal} to {}", self.name);
    }

    /// SIGKILL; returns when it is gone and its log is complete.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Bounded: a child of its own may still hold the pipes.
        let deadline = Instant::now() + Duration::from_secs(1);
        while self.readers.iter().any(|reader| !reader.is_finished()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn wait(&mut self, within: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        eventually(&what, within, async || self.ended().ok_or("it runs")).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- log of {}\n{}", self.name, self.log);
        }
    }
}

/// What one process said so far, line by line; it goes on over restarts.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<(Instant, String)>>>);

impl Log {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap()
            .iter()
            .map(|(_, line)| line.clone())
            .collect()
    }

    /// How many lines hold this text.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.0
            .lock()
            .unwrap()
            .iter()
            .filter(|(_, line)| line.contains(text))
            .count()
    }

    /// Waits for a line that holds this text, and returns it.
    pub(crate) async fn contains(&self, text: &str) -> String {
        let what = format!("a line in the log with `{text}`");
        eventually(&what, Duration::from_secs(5), async || {
            let line = self.lines().into_iter().find(|line| line.contains(text));
            line.ok_or_else(|| format!("\n{self}"))
        })
        .await
    }

    fn push(&self, line: String) {
        LazyLock::force(&EPOCH);
        self.0.lock().unwrap().push((Instant::now(), line));
    }

    fn follow(&self, from: impl Read + Send + 'static) -> JoinHandle<()> {
        let log = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
                log.push(String::from_utf8_lossy(&line).into_owned());
            }
        })
    }
}

impl Display for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, line) in self.0.lock().unwrap().iter() {
            writeln!(f, "{:8.3} {line}", at.duration_since(*EPOCH).as_secs_f64())?;
        }
        Ok(())
    }
}
