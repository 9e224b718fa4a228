//! The stack that most tests flip: three services, each in blue and green, and the config that describes them.

use serde_json::Value;

use super::backend::Backend;
use super::port::free_port;
use super::provider::{self, Provider};
use super::redis::Redis;
use super::traefik::{self, Traefik};

/// For tests without a Traefik: one service, whose servers nobody asks.
pub(crate) const CONFIG: &str = "\
stacks:
  deals:
    services:
      api:
        rule: Host(`api.localhost`)
        servers: { blue: http://127.0.0.1:9, green: http://127.0.0.1:9 }
";

/// The color to which a document routes the service `api`.
#[track_caller]
pub(crate) fn color_of(document: &Value) -> &str {
    let service = &document["http"]["routers"]["deals-api"]["service"];
    let color = service
        .as_str()
        .and_then(|service| service.strip_prefix("deals-api-"));
    color.unwrap_or_else(|| panic!("no router of the service in {document}"))
}

/// The hosts of the three services.
pub(crate) const HOSTS: [&str; 3] = ["api.localhost", "mcp.localhost", "dashboard.localhost"];

/// Three services with their servers, in this process.
pub(crate) struct Stack {
    services: [Backend; 3],
    marker_port: u16,
}

impl Stack {
    pub(crate) async fn start() -> Self {
        let colors = ["blue", "green"];
        Self {
            services: [
                Backend::start("api", &colors).await,
                Backend::start("mcp", &colors).await,
                Backend::start("dashboard", &colors).await,
            ],
            marker_port: free_port(),
        }
    }

    /// The first of the services.
    pub(crate) fn api(&self) -> &Backend {
        &self.services[0]
    }

    /// The config without a marker: an instance counts once it has confirmed.
    pub(crate) fn config(&self) -> String {
        let mut text = String::from("stacks:\n  deals:\n    entryPoints: [web]\n    services:\n");
        for (host, backend) in HOSTS.iter().zip(&self.services) {
            let name = host.trim_end_matches(".localhost");
            let (blue, green) = (backend.url("blue"), backend.url("green"));
            text += &format!(
                "      {name}: {{ rule: 'Host(`{host}`)', servers: {{ blue: '{blue}', green: '{green}' }} }}\n"
            );
        }
        text + "defaultCertificate: generated\n"
    }

    /// The config with a marker: an instance counts once it routes by the document. For one Traefik.
    pub(crate) fn config_with_marker(&self) -> String {
        let port = self.marker_port;
        self.config() + &format!("marker: {{ entryPoint: marker, port: {port} }}\n")
    }

    /// A provider with this config.
    pub(crate) async fn provider(&self, config: &str, redis: &Redis) -> Provider {
        provider::Options::new(config, &redis.url()).start().await
    }

    /// A Traefik with the recommended settings and the marker's entrypoint, once it routes to blue.
    pub(crate) async fn traefik(&self, provider: &Provider, instance: &str) -> Traefik {
        let port = self.marker_port;
        let traefik = traefik::Options::recommended(&provider.url(), instance)
            .arg(&format!("--entryPoints.marker.address=127.0.0.1:{port}"))
            .start()
            .await;
        for host in HOSTS {
            traefik.wait_for(host, "blue").await;
        }
        traefik
    }

    /// A Traefik with the recommended settings and no entrypoint for the marker, once it routes to blue.
    pub(crate) async fn plain_traefik(&self, provider: &Provider, instance: &str) -> Traefik {
        let traefik = traefik::Options::recommended(&provider.url(), instance)
            .start()
            .await;
        for host in HOSTS {
            traefik.wait_for(host, "blue").await;
        }
        traefik
    }
}
