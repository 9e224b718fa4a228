//! What switches without Traefik: the floor of the kind.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use hyper::Method;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::support::backend::Backend;
use super::support::port::{free_port, loopback};
use super::support::process::{Log, Process, guarded};
use super::support::redis::tool;
use super::support::{eventually, http};

const PATIENCE: Duration = Duration::from_secs(10);

/// HAProxy, whose frontend asks a map for the backend; its runtime socket changes the map.
pub struct HaProxy {
    dir: TempDir,
    pub web: SocketAddr,
    _process: Process,
}

impl HaProxy {
    pub async fn start(backend: &Backend) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let web = loopback(free_port());
        let (map, config) = (dir.path().join("active.map"), dir.path().join("cfg"));
        std::fs::write(&map, "active blue\n").unwrap();
        let (socket, map) = (socket(&dir), map.display().to_string());
        let mut text = format!(
            "global\n  stats socket {} level admin\ndefaults\n  mode http\n  timeout connect 5s\n  \
             timeout client 30s\n  timeout server 30s\nfrontend web\n  bind {web}\n  \
             use_backend %[str(active),map({map})]\n",
            socket.display()
        );
        for color in ["blue", "green"] {
            text += &format!("backend {color}\n  server one {}\n", backend.address(color));
        }
        std::fs::write(&config, text).unwrap();
        let mut command = guarded(tool("haproxy"));
        command.args(["-db", "-f"]).arg(&config);
        let process = Process::spawn("haproxy", &mut command, &Log::default());
        serves_blue("haproxy", web).await;
        Self {
            dir,
            web,
            _process: process,
        }
    }

    pub async fn set(&self, color: &str) {
        let mut stream = UnixStream::connect(socket(&self.dir)).await.unwrap();
        let map = self.dir.path().join("active.map");
        let command = format!("set map {} active {color}\n", map.display());
        stream.write_all(command.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer.trim(), "", "haproxy refuses");
    }
}

fn socket(dir: &TempDir) -> PathBuf {
    dir.path().join("haproxy.sock")
}

/// Caddy, whose admin API changes where its proxy dials.
pub struct Caddy {
    admin: SocketAddr,
    pub web: SocketAddr,
    colors: [(&'static str, SocketAddr); 2],
    _dir: TempDir,
    _process: Process,
}

impl Caddy {
    pub async fn start(backend: &Backend) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (admin, web) = (loopback(free_port()), loopback(free_port()));
        let colors = ["blue", "green"].map(|color| (color, backend.address(color)));
        let config = json!({
            "admin": { "listen": admin, "config": { "persist": false } },
            "apps": { "http": { "servers": { "web": {
                "listen": [web],
                "automatic_https": { "disable": true },
                "routes": [{ "handle": [{
                    "handler": "reverse_proxy", "upstreams": [{ "dial": colors[0].1 }]
                }] }]
            } } } }
        });
        let file = dir.path().join("caddy.json");
        std::fs::write(&file, config.to_string()).unwrap();
        let mut command = guarded(tool("caddy"));
        command.args(["run", "--config"]).arg(&file);
        command.env("HOME", dir.path());
        let process = Process::spawn("caddy", &mut command, &Log::default());
        serves_blue("caddy", web).await;
        Self {
            admin,
            web,
            colors,
            _dir: dir,
            _process: process,
        }
    }

    pub async fn set(&self, color: &str) {
        let path = "/config/apps/http/servers/web/routes/0/handle/0/upstreams/0/dial";
        let address = self.colors.iter().find(|(name, _)| *name == color);
        let (_, address) = address.unwrap();
        let host = self.admin.to_string();
        let body = json!(address);
        let answer = http::send(self.admin, Method::PATCH, &host, path, &body).await;
        let answer = answer.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

async fn serves_blue(name: &str, web: SocketAddr) {
    let what = format!("{name} serves blue");
    eventually(&what, PATIENCE, async || {
        let answer = http::get(web, "localhost", "/", &[]).await?;
        match answer.color() {
            Some("blue") => Ok(()),
            _ => Err(format!("{answer:?}")),
        }
    })
    .await;
}
