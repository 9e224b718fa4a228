//! A real Prometheus.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::eventually;
use super::http;
use super::port::{free_port, loopback};
use super::process::{Log, Process, guarded};

/// Long enough for its start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A Prometheus on a free port, which scrapes some targets four times a second.
pub(crate) struct Prometheus {
    _dir: TempDir,
    port: u16,
    process: Process,
}

impl Prometheus {
    /// Once it has scraped each of these.
    pub(crate) async fn start(targets: &[SocketAddr]) -> Self {
        let (dir, port, log) = (tempfile::tempdir().unwrap(), free_port(), Log::default());
        let listed: Vec<_> = targets.iter().map(|target| format!("'{target}'")).collect();
        let config = format!(
            "global: {{ scrape_interval: 250ms, scrape_timeout: 250ms }}\nscrape_configs:\n  \
             - {{ job_name: traefik, static_configs: [{{ targets: [{}] }}] }}\n",
            listed.join(", ")
        );
        std::fs::write(dir.path().join("prometheus.yml"), config).unwrap();
        let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/prometheus");
        assert!(
            binary.exists(),
            "no Prometheus at {}: run scripts/install-tools --tests",
            binary.display()
        );
        let mut command = guarded(binary);
        command
            .current_dir(dir.path())
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let process = Process::spawn("prometheus", &mut command, &log);
        let prometheus = Self {
            _dir: dir,
            port,
            process,
        };
        eventually("Prometheus has scraped its targets", PATIENCE, async || {
            let path = "/api/v1/query?query=count(traefik_config_reloads_total)";
            let answer = http::get(loopback(port), "localhost", path, &[]).await?;
            // While it starts, it answers 503, and not in JSON.
            let up = format!("\"{}\"]", targets.len());
            match answer.status == 200 && answer.text().contains(&up) {
                true => Ok(()),
                false => Err(format!("{answer:?}")),
            }
        })
        .await;
        prometheus
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }
}
