//! A real PostgreSQL server.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage, SimpleQueryRow};

use super::eventually;
use super::port::{free_port, loopback};
use super::process::{Log, Process, guarded};
use super::redis::tool;

/// Recovery after a SIGKILL included, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whom it runs as where the tests run as root, which it refuses.
const NOBODY: [&str; 3] = ["--reuid=nobody", "--regid=nogroup", "--clear-groups"];

/// The user and the database: both have this name, and there is no password.
const NAME: &str = "deals";

/// A PostgreSQL server on a free port of loopback, with a user `deals` and an empty database `deals`.
///
/// Killed, it keeps what was committed: `fsync` is off, but the machine does not go down with it.
pub(crate) struct Postgres {
    dir: TempDir,
    port: u16,
    log: Log,
    process: Process,
}

impl Postgres {
    pub(crate) async fn start() -> Self {
        for _ in 0..3 {
            let (dir, log) = (new_dir(), Log::default());
            init(dir.path());
            let port = free_port();
            let process = spawn(dir.path(), port, &log);
            let mut postgres = Self {
                dir,
                port,
                log,
                process,
            };
            match postgres.ready().await {
                Ok(()) => {
                    let created = query(postgres.port, "postgres", "CREATE DATABASE deals").await;
                    created.unwrap();
                    return postgres;
                }
                // Another process was faster to take the port.
                Err(_) if postgres.log.count("Address already in use") > 0 => {}
                Err(end) => panic!("postgres: {end}\n{}", postgres.log),
            }
        }
        panic!("no free port for postgres in three attempts");
    }

    /// `postgres://deals@127.0.0.1:PORT/deals`
    pub(crate) fn url(&self) -> String {
        format!("postgres://{NAME}@{}/{NAME}", loopback(self.port))
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Runs SQL, and returns the rows as text, their columns separated by `|`.
    pub(crate) async fn sql(&self, sql: &str) -> Vec<String> {
        let rows = query(self.port, NAME, sql).await;
        rows.unwrap_or_else(|error| panic!("{sql}: {error}\n{}", self.log))
    }

    /// Keeps everybody else from changing this deal, until the lock is opened or dropped.
    pub(crate) async fn lock(&self, deal: i64) -> Lock {
        let (client, connection) = tokio_postgres::connect(&self.url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        let sql = format!("BEGIN; SELECT FROM deals WHERE id = {deal} FOR UPDATE");
        client.batch_execute(&sql).await.unwrap();
        Lock(client)
    }

    /// Waits until somebody waits for a lock.
    pub(crate) async fn somebody_waits(&self) {
        let sql = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        eventually("somebody waits for a lock", PATIENCE, async || {
            let waiting = self.sql(sql).await;
            if waiting.is_empty() {
                Err("nobody")
            } else {
                Ok(())
            }
        })
        .await;
    }

    /// SIGKILL. Its children see that it is gone, and end.
    pub(crate) async fn kill(&mut self) {
        self.process.kill();
        eventually("postgres's children end", PATIENCE, async || self.gone()).await;
    }

    /// SIGINT, which cuts all connections: what the server calls a fast shutdown.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.process.signal("INT");
        self.process.wait(PATIENCE).await
    }

    /// SIGSTOP to the server and all of its children: connections stay open, nothing is answered.
    pub(crate) fn stop(&self) {
        self.signal_all("STOP");
    }

    /// SIGCONT.
    pub(crate) fn cont(&self) {
        self.signal_all("CONT");
    }

    /// Starts it again, on the same port and with the same data; kills it first if it still runs.
    pub(crate) async fn restart(&mut self) {
        self.kill().await;
        self.process = spawn(self.dir.path(), self.port, &self.log);
        self.ready()
            .await
            .unwrap_or_else(|end| panic!("postgres: {end}\n{}", self.log));
    }

    /// Whether nobody works in the data any longer: a new server would refuse to start.
    fn gone(&self) -> Result<(), String> {
        let data = self.dir.path().join("data");
        let all = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let mut left = all.filter(|entry| {
            std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == data)
        });
        left.next().map_or(Ok(()), |entry| {
            Err(format!("process {} is left", entry.file_name().display()))
        })
    }

    fn signal_all(&self, signal: &str) {
        for pid in std::iter::once(self.process.pid()).chain(self.children()) {
            let script = format!("kill -{signal} {pid}");
            let _ = Command::new("sh").args(["-c", &script]).status();
        }
    }

    /// Its processes, each of which serves one connection or has a task in the background.
    fn children(&self) -> Vec<u32> {
        let of = self.process.pid();
        let all = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid| parent(*pid) == Some(of)).collect()
    }

    /// Waits until it takes connections, or has ended.
    async fn ready(&mut self) -> Result<(), String> {
        eventually("postgres takes connections", PATIENCE, async || {
            if let Some(status) = self.process.ended() {
                self.process.kill();
                return Ok(Err(format!("ended with {status}")));
            }
            match query(self.port, "postgres", "SELECT 1").await {
                Ok(_) => Ok(Ok(())),
                Err(error) => Err(error),
            }
        })
        .await
    }
}

/// A transaction that is open.
pub(crate) struct Lock(Client);

impl Lock {
    pub(crate) async fn open(self) {
        self.0.batch_execute("COMMIT").await.unwrap();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.process.kill();
        // Its folder is removed next: nobody may write there any longer.
        let deadline = Instant::now() + Duration::from_secs(2);
        while self.gone().is_err() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A folder that the server's user may enter and owns.
fn new_dir() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    if is_root() {
        std::os::unix::fs::chown(dir.path(), Some(nobody()), None).unwrap();
    }
    dir
}

/// Makes the data of a new server.
fn init(dir: &Path) {
    let mut command = program("initdb");
    command.arg("-D").arg(dir.join("data")).args([
        "--username",
        NAME,
        "--auth=trust",
        "--encoding=UTF8",
        "--no-locale",
        "--no-sync",
    ]);
    let output = command.current_dir("/").output().unwrap();
    assert!(output.status.success(), "initdb: {output:?}");
}

fn spawn(dir: &Path, port: u16, log: &Log) -> Process {
    let mut command = program("postgres");
    command.current_dir(dir).arg("-D").arg(dir.join("data"));
    for setting in [
        &format!("port={port}"),
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "fsync=off",
        "full_page_writes=off",
        // Its shared memory must not outlive it, whatever it dies of.
        "shared_memory_type=mmap",
        "dynamic_shared_memory_type=mmap",
        "shared_buffers=16MB",
        "autovacuum=off",
    ] {
        command.args(["-c", setting]);
    }
    Process::spawn("postgres", &mut command, log)
}

/// One of PostgreSQL's programs, as a user that it accepts.
fn program(name: &str) -> Command {
    let folder = tool("postgresql");
    assert!(
        folder.is_absolute(),
        "no PostgreSQL in target/tools: run scripts/install-tools"
    );
    // The real place: another user may not be able to enter this folder.
    as_owner(std::fs::canonicalize(folder).unwrap().join(name))
}

/// A command as the owner of the data, guarded.
fn as_owner(program: impl AsRef<OsStr>) -> Command {
    if !is_root() {
        return guarded(program);
    }
    // A change of the user clears the guard, so the guard comes after it.
    let mut command = Command::new("setpriv");
    command
        .args(NOBODY)
        .args(["setpriv", "--pdeathsig", "KILL"]);
    command.arg(program);
    command
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

fn nobody() -> u32 {
    static UID: LazyLock<u32> = LazyLock::new(|| {
        let output = Command::new("id").args(["-u", "nobody"]).output().unwrap();
        String::from_utf8(output.stdout)
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    });
    *UID
}

fn parent(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok()
}

/// Runs SQL on a connection of its own. A database that does not answer is an error, too.
async fn query(port: u16, database: &str, sql: &str) -> Result<Vec<String>, String> {
    let at = format!("postgres://{NAME}@{}/{database}", loopback(port));
    let whole = async {
        let (client, connection) = tokio_postgres::connect(&at, NoTls).await?;
        // Ends when the client is dropped; its error reaches the client, too.
        tokio::spawn(connection);
        client.simple_query(sql).await
    };
    let answer = tokio::time::timeout(Duration::from_secs(5), whole).await;
    let messages = answer
        .map_err(|_| "no answer within 5 s")?
        .map_err(|error| format!("{error:?}"))?;
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let text = |row: &SimpleQueryRow| {
        let columns = (0..row.len()).map(|n| row.get(n).unwrap_or_default());
        columns.collect::<Vec<_>>().join("|")
    };
    Ok(rows.map(text).collect())
}
