//! Where Redis is: the URL that `--store` gives.

use std::fmt;

use redis::io::tcp::TcpSettings;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisError,
    RedisResult, TlsMode,
};

use super::InvalidStore;

/// Where Redis is.
#[derive(Clone)]
pub enum Address {
    /// One server, or any nodes of a Redis Cluster: the first that can be reached tells which one has the key.
    Server(Vec<ConnectionInfo>),
    /// The primary that these Sentinels know by this name.
    Sentinel {
        /// The Sentinels.
        sentinels: Vec<ConnectionAddr>,
        /// The name of the primary.
        name: String,
        /// User, password and database of the Redis server.
        login: Box<redis::RedisConnectionInfo>,
        /// Whether the Redis server speaks TLS.
        tls: bool,
    },
}

impl Address {
    /// Reads a URL: `redis://`, `rediss://`, `unix://`, `redis+sentinel://`, `rediss+sentinel://`.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(url: &str) -> Result<Self, InvalidStore> {
        let scheme = url.split_once("://").map_or(url, |(scheme, _)| scheme);
        let wrong = |error: RedisError| InvalidStore::Redis(error.to_string());
        match scheme {
            "redis" | "rediss" | "unix" => {
                let nodes = nodes(url).into_iter().map(|url| {
                    let info = url.into_connection_info()?;
                    let login = info.redis_settings().clone();
                    let login = login.set_protocol(ProtocolVersion::RESP3);
                    let info = info.set_redis_settings(login);
                    Ok(info.set_tcp_settings(tcp_settings()))
                });
                nodes
                    .collect::<RedisResult<_>>()
                    .map(Self::Server)
                    .map_err(wrong)
            }
            "redis+sentinel" | "rediss+sentinel" => {
                Self::parse_sentinel(url, scheme.starts_with("rediss"))
            }
            _ => Err(InvalidStore::Scheme(
                url.split('@').next_back().unwrap_or_default().to_owned(),
            )),
        }
    }

    /// `redis+sentinel://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]]…/NAME[/DB]`.
    fn parse_sentinel(url: &str, tls: bool) -> Result<Self, InvalidStore> {
        const DEFAULT_PORT: &str = "26379";
        let wrong = |why: &str| {
            InvalidStore::Redis(format!(
                "{why}, as in `redis+sentinel://HOST:26379,HOST2:26379/NAME`"
            ))
        };
        let (_, rest) = url
            .split_once("://")
            .ok_or_else(|| wrong("give hosts and a name"))?;
        let (authority, path) = rest
            .split_once('/')
            .ok_or_else(|| wrong("the primary's name is missing"))?;
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (name, db) = path.split_once('/').unwrap_or((path, ""));
        if name.is_empty() || hosts.is_empty() {
            return Err(wrong("give hosts and the primary's name"));
        }
        let mut sentinels = Vec::new();
        for host in hosts.split(',') {
            let (host, port) = host.rsplit_once(':').unwrap_or((host, DEFAULT_PORT));
            let port = port
                .parse()
                .map_err(|_| wrong(&format!("`{port}` is not a port")))?;
            sentinels.push(ConnectionAddr::Tcp(host.to_owned(), port));
        }
        // The login is written as in any other Redis URL.
        let login = format!(
            "redis://{login}{}localhost/{db}",
            if login.is_empty() { "" } else { "@" }
        );
        let login = login
            .into_connection_info()
            .map_err(|error| InvalidStore::Redis(error.to_string()))?;
        Ok(Self::Sentinel {
            sentinels,
            name: name.to_owned(),
            login: Box::new(login.redis_settings().clone()),
            tls,
        })
    }

    /// The clients of the servers to try, in this order: that of the primary, where Sentinels name it.
    pub(super) async fn clients(&self) -> RedisResult<Vec<Client>> {
        match self {
            Self::Server(nodes) => nodes.iter().cloned().map(Client::open).collect(),
            Self::Sentinel {
                sentinels,
                name,
                login,
                tls,
            } => {
                let mut builder = SentinelClientBuilder::new(
                    sentinels.clone(),
                    name,
                    SentinelServerType::Master,
                )?
                .set_client_to_redis_protocol(ProtocolVersion::RESP3)
                .set_client_to_redis_db(login.db())
                .set_client_to_redis_tcp_settings(tcp_settings())
                .set_client_to_sentinel_tcp_settings(tcp_settings());
                if let Some(user) = login.username() {
                    builder = builder.set_client_to_redis_username(user);
                }
                if let Some(password) = login.password() {
                    builder = builder.set_client_to_redis_password(password);
                }
                if *tls {
                    builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
                }
                let client = builder.build()?.async_get_client().await?;
                Ok(vec![client])
            }
        }
    }
}

/// A URL for each of the hosts in `redis://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]]…[/DB]`.
fn nodes(url: &str) -> Vec<String> {
    let whole = || vec![url.to_owned()];
    let Some((scheme, rest)) = url
        .split_once("://")
        .filter(|(scheme, _)| *scheme != "unix")
    else {
        return whole();
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (login, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
    let nodes = hosts.split(',');
    nodes
        .map(|host| format!("{scheme}://{login}{host}{path}"))
        .collect()
}

/// The same user, password and TLS at another address, `HOST:PORT`, which a node of a cluster has named. A node that
/// does not know its own name names none (Redis Cluster specification, "MOVED Redirection").
pub(super) fn elsewhere(client: &Client, address: &str) -> RedisResult<Client> {
    let info = client.get_connection_info();
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    let port = port.parse().unwrap_or(6379);
    let host_or = |own: &str| if host.is_empty() { own } else { host }.to_owned();
    let there = match info.addr().clone() {
        ConnectionAddr::TcpTls {
            host: own,
            insecure,
            tls_params,
            ..
        } => ConnectionAddr::TcpTls {
            host: host_or(&own),
            port,
            insecure,
            tls_params,
        },
        ConnectionAddr::Tcp(own, _) => ConnectionAddr::Tcp(host_or(&own), port),
        _ => ConnectionAddr::Tcp(host.to_owned(), port),
    };
    let there = there.into_connection_info()?;
    let there = there.set_redis_settings(info.redis_settings().clone());
    Client::open(there.set_tcp_settings(tcp_settings()))
}

/// Small messages that must go at once, over a connection whose end is noticed.
fn tcp_settings() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

/// Without user and password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(nodes) => {
                for (i, node) in nodes.iter().enumerate() {
                    match (i, node.addr()) {
                        (0, ConnectionAddr::Tcp(host, port)) => write!(f, "redis://{host}:{port}")?,
                        (0, ConnectionAddr::TcpTls { host, port, .. }) => {
                            write!(f, "rediss://{host}:{port}")?
                        }
                        (0, ConnectionAddr::Unix(path)) => write!(f, "unix://{}", path.display())?,
                        (_, other) => write!(f, ",{other}")?,
                    }
                }
                match nodes.first().map_or(0, |node| node.redis_settings().db()) {
                    0 => Ok(()),
                    db => write!(f, "/{db}"),
                }
            }
            Self::Sentinel {
                sentinels,
                name,
                tls,
                ..
            } => {
                let hosts: Vec<_> = sentinels.iter().map(ToString::to_string).collect();
                let s = if *tls { "s" } else { "" };
                write!(f, "redis{s}+sentinel://{}/{name}", hosts.join(","))
            }
        }
    }
}
