//! A real Redis server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::eventually;
use super::port::free_port;
use super::process::{Log, Process, guarded};

/// A Redis server on a free port and on a unix socket; it forgets everything when it stops, unless asked otherwise.
pub(crate) struct Redis {
    dir: TempDir,
    port: u16,
    args: Vec<String>,
    log: Log,
    process: Process,
}

impl Redis {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With more of redis-server's options, such as `["--appendonly", "yes"]` or `["--requirepass", "secret"]`.
    pub(crate) async fn start_with(args: &[&str]) -> Self {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        for _ in 0..3 {
            let (dir, port, log) = (tempfile::tempdir().unwrap(), free_port(), Log::default());
            let process = spawn(dir.path(), port, &args, &log);
            let mut redis = Self {
                dir,
                port,
                args: args.clone(),
                log,
                process,
            };
            match redis.ready().await {
                Ok(()) => return redis,
                // Another process was faster to take the port.
                Err(_) if redis.log.count("Address already in use") > 0 => {}
                Err(end) => panic!("redis-server: {end}\n{}", redis.log),
            }
        }
        panic!("no free port for redis-server in three attempts");
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// `redis://127.0.0.1:PORT`
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// `unix:///…/redis.sock`
    pub(crate) fn unix_url(&self) -> String {
        format!("unix://{}", socket(self.dir.path()).display())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// What an operator types: `redis-cli ARGS`. Returns what it prints, without the last newline.
    pub(crate) async fn cli(&self, args: &[&str]) -> String {
        self.try_cli(args)
            .await
            .unwrap_or_else(|error| panic!("redis-cli {args:?}: {error}"))
    }

    /// As `cli`, but an error reply (or a server that is away or silent) is the caller's business.
    pub(crate) async fn try_cli(&self, args: &[&str]) -> Result<String, String> {
        let mut command = tokio::process::Command::new(tool("redis-cli"));
        command
            .args(["-e", "-p", &self.port.to_string()])
            .args(args)
            .kill_on_drop(true);
        let output = tokio::time::timeout(Duration::from_secs(5), command.output()).await;
        let output = output
            .map_err(|_| "no answer within 5 s")?
            .map_err(|e| e.to_string())?;
        let stdout = String::from_utf8_lossy(&output.stdout)
            .trim_end_matches('\n')
            .to_owned();
        if output.status.success() {
            Ok(stdout)
        } else {
            Err(format!(
                "{stdout}{}",
                String::from_utf8_lossy(&output.stderr)
            ))
        }
    }

    /// A connection, for what must not wait for a process to start.
    pub(crate) async fn connection(&self) -> ::redis::aio::MultiplexedConnection {
        let client = ::redis::Client::open(self.url()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGTERM; waits for its end.
    pub(crate) async fn terminate(&mut self) {
        self.process.signal("TERM");
        self.process.wait(Duration::from_secs(10)).await;
    }

    /// Starts it again, on the same port and in the same folder; kills it first if it still runs.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        self.process = spawn(self.dir.path(), self.port, &self.args, &self.log);
        self.ready()
            .await
            .unwrap_or_else(|end| panic!("redis-server: {end}\n{}", self.log));
    }

    /// Starts it again with what it has saved, of which it loads a thousand keys a second; returns while it does.
    pub(crate) async fn restart_loading(&mut self) {
        self.cli(&["SAVE"]).await;
        self.kill();
        let slowly = [
            "--key-load-delay",
            "1000",
            "--loading-process-events-interval-bytes",
            "1024",
        ];
        let args: Vec<_> = slowly.iter().map(ToString::to_string).collect();
        let args = [&self.args[..], &args].concat();
        self.process = spawn(self.dir.path(), self.port, &args, &self.log);
        let socket = socket(self.dir.path());
        let within = Duration::from_secs(10);
        eventually("redis-server loads", within, async || {
            match ping(&socket).await {
                Ok(reply) if reply.starts_with("-LOADING") => Ok(()),
                Ok(reply) => Err(reply),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
    }

    /// SIGSTOP: connections stay open, nothing is answered.
    pub(crate) fn stop(&self) {
        self.process.signal("STOP");
    }

    /// SIGCONT.
    pub(crate) fn cont(&self) {
        self.process.signal("CONT");
    }

    /// Waits until it is a replica that has what its primary has.
    pub(crate) async fn is_in_sync(&self) {
        let within = Duration::from_secs(40);
        eventually("the replica is in sync", within, async || {
            // A server that changes its role closes its connections.
            let info = self.try_cli(&["INFO", "replication"]).await?;
            if info.contains("role:slave") && info.contains("master_link_status:up") {
                Ok(())
            } else {
                Err(info)
            }
        })
        .await;
    }

    /// Waits until it answers a PING, or has ended.
    async fn ready(&mut self) -> Result<(), String> {
        let socket = socket(self.dir.path());
        eventually(
            "redis-server answers PING",
            Duration::from_secs(10),
            async || {
                if let Some(status) = self.process.ended() {
                    self.process.kill();
                    return Ok(Err(format!("ended with {status}")));
                }
                match ping(&socket).await {
                    Ok(reply) if reply.starts_with("+PONG") || reply.starts_with("-NOAUTH") => {
                        Ok(Ok(()))
                    }
                    Ok(reply) => Err(reply),
                    Err(error) => Err(error.to_string()),
                }
            },
        )
        .await
    }
}

fn spawn(dir: &Path, port: u16, args: &[String], log: &Log) -> Process {
    let mut command = guarded(server());
    command.args([
        "--bind",
        "127.0.0.1",
        "--port",
        &port.to_string(),
        "--save",
        "",
    ]);
    command
        .arg("--unixsocket")
        .arg(socket(dir))
        .arg("--dir")
        .arg(dir)
        .args(args);
    Process::spawn("redis-server", &mut command, log)
}

fn socket(dir: &Path) -> PathBuf {
    dir.join("redis.sock")
}

/// The server that `BLUEGREEN_REDIS_SERVER` names, such as Valkey's; else Redis.
pub(crate) fn server() -> PathBuf {
    std::env::var_os("BLUEGREEN_REDIS_SERVER").map_or_else(|| tool("redis-server"), PathBuf::from)
}

/// What `scripts/install-tools` put into target/tools, else what the PATH has.
pub(crate) fn tool(name: &str) -> PathBuf {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/tools")
        .join(name);
    if installed.exists() {
        installed
    } else {
        name.into()
    }
}

async fn ping(socket: &Path) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(b"PING\r\n").await?;
    let mut reply = [0; 64];
    let n = stream.read(&mut reply).await?;
    Ok(String::from_utf8_lossy(&reply[..n]).into_owned())
}
