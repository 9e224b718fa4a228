//! Where Redis is: the URL that `--store` gives.

use std::fmt;
use std::net::Ipv6Addr;

use redis::io::tcp::TcpSettings;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion,
    RedisConnectionInfo, RedisResult, TlsMode,
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
        /// User and password of the Sentinels.
        sentinel_login: Box<RedisConnectionInfo>,
        /// The name of the primary.
        name: String,
        /// User, password and database of the Redis server.
        login: Box<RedisConnectionInfo>,
        /// Whether the Redis server speaks TLS.
        tls: bool,
    },
}

impl Address {
    /// Reads a URL: `redis://`, `rediss://`, `unix://`, `redis+sentinel://`, `rediss+sentinel://`.
    ///
    /// # Errors
    ///
    /// What is wrong with it, without any of its text: it may hold a password.
    pub fn parse(url: &str) -> Result<Self, InvalidStore> {
        let url = url.trim();
        let (scheme, rest) = url.split_once("://").ok_or(InvalidStore::Scheme)?;
        let tls = scheme.starts_with("rediss");
        match scheme {
            "redis" | "rediss" => {
                is_encoded(rest, scheme)?;
                Self::parse_servers(scheme, rest)
            }
            "unix" => {
                is_encoded(rest, scheme)?;
                Ok(Self::Server(vec![server(url)?]))
            }
            "redis+sentinel" | "rediss+sentinel" => {
                is_encoded(rest, scheme)?;
                Self::parse_sentinel(rest, tls)
            }
            _ => Err(InvalidStore::Scheme),
        }
    }

    /// `[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]]…[/DB]`.
    fn parse_servers(scheme: &str, rest: &str) -> Result<Self, InvalidStore> {
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (login, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        let servers = hosts.split(',').map(|host| {
            host_and_port(host, 6379)?;
            server(&format!("{scheme}://{login}{host}{path}"))
        });
        servers.collect::<Result<_, _>>().map(Self::Server)
    }

    /// `[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]]…/NAME[/DB][?PARAMETER=VALUE[&PARAMETER=VALUE]…]`, with parameters for
    /// the Sentinels themselves.
    fn parse_sentinel(rest: &str, tls: bool) -> Result<Self, InvalidStore> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        let (name, db) = path.split_once('/').unwrap_or((path, ""));
        if name.is_empty() {
            return Err(InvalidStore::Url(
                "the primary's name is missing, as in `redis+sentinel://HOST:26379,HOST2:26379/NAME`",
            ));
        }
        // The login is written as in any other Redis URL.
        let login = server(&format!("redis://{login}localhost/{db}"))?;
        let mut sentinel_login = RedisConnectionInfo::default();
        let mut sentinel_tls = false;
        // In a URL's user and password a `+` is itself, so it is here.
        let query = query.replace('+', "%2B");
        for (parameter, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match (&*parameter, &*value) {
                ("sentinel_username", user) => sentinel_login = sentinel_login.set_username(user),
                ("sentinel_password", password) => {
                    sentinel_login = sentinel_login.set_password(password)
                }
                ("sentinel_tls", "true") => sentinel_tls = true,
                ("sentinel_tls", "false") => sentinel_tls = false,
                _ => {
                    return Err(InvalidStore::Url(
                        "behind the `?` there can be `sentinel_username=USER`, `sentinel_password=PASSWORD` and \
                         `sentinel_tls=true`, with `&` between them; in a password write `&` as %26",
                    ));
                }
            }
        }
        let sentinels = hosts.split(',').map(|host| {
            let (host, port) = host_and_port(host, 26379)?;
            Ok(match sentinel_tls {
                true => ConnectionAddr::TcpTls {
                    host,
                    port,
                    insecure: false,
                    tls_params: None,
                },
                false => ConnectionAddr::Tcp(host, port),
            })
        });
        Ok(Self::Sentinel {
            sentinels: sentinels.collect::<Result<_, _>>()?,
            sentinel_login: Box::new(sentinel_login),
            name: name.to_owned(),
            login: Box::new(login.redis_settings().clone()),
            tls,
        })
    }

    /// Its URL, where that has no secret in it and says all that there is to say.
    pub(super) fn url(&self) -> Option<String> {
        let is_open =
            |login: &RedisConnectionInfo| login.username().is_none() && login.password().is_none();
        let is_plain = |node: &ConnectionInfo| match node.addr() {
            ConnectionAddr::TcpTls { insecure, .. } => !insecure,
            ConnectionAddr::Unix(_) => node.redis_settings().db() == 0,
            _ => true,
        };
        let says_all = match self {
            Self::Server(nodes) => nodes
                .iter()
                .all(|node| is_open(node.redis_settings()) && is_plain(node)),
            Self::Sentinel {
                sentinels,
                sentinel_login,
                login,
                ..
            } => {
                let mut sentinels = sentinels.iter();
                let plain = sentinels.all(|sentinel| matches!(sentinel, ConnectionAddr::Tcp(..)));
                plain && is_open(login) && is_open(sentinel_login)
            }
        };
        says_all.then(|| self.to_string())
    }

    /// The clients of the servers to try, in this order: that of the primary, where Sentinels name it.
    pub(super) async fn clients(&self) -> RedisResult<Vec<Client>> {
        match self {
            Self::Server(nodes) => nodes.iter().cloned().map(Client::open).collect(),
            Self::Sentinel {
                sentinels,
                sentinel_login,
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
                if let Some(user) = sentinel_login.username() {
                    builder = builder.set_client_to_sentinel_username(user);
                }
                if let Some(password) = sentinel_login.password() {
                    builder = builder.set_client_to_sentinel_password(password);
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

/// Whether user, password and parameters can be told from the rest: a piece of a password must not pass for a host, nor
/// be lost.
fn is_encoded(rest: &str, scheme: &str) -> Result<(), InvalidStore> {
    let (_, after) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let at = scheme != "unix" && after.contains('@');
    let fragment = after.split_once('#').map(|(_, fragment)| fragment);
    let fragment = fragment.is_some_and(|text| !(scheme == "rediss" && text == "insecure"));
    if at || fragment || rest.contains(char::is_control) {
        return Err(InvalidStore::NotEncoded);
    }
    Ok(())
}

/// One server by its URL.
fn server(url: &str) -> Result<ConnectionInfo, InvalidStore> {
    let info = url.into_connection_info().map_err(|_| {
        InvalidStore::Url("it is not like `redis://USER:PASSWORD@HOST:PORT/DB` or `unix:///PATH`")
    })?;
    let login = info.redis_settings().clone();
    let info = info.set_redis_settings(login.set_protocol(ProtocolVersion::RESP3));
    Ok(info.set_tcp_settings(tcp_settings()))
}

/// `HOST`, `HOST:PORT`, `[IPV6]` or `[IPV6]:PORT`.
fn host_and_port(text: &str, default: u16) -> Result<(String, u16), InvalidStore> {
    let wrong = InvalidStore::Url(
        "a host and its port are written as in `localhost:6379`, `10.0.0.7:6379` or `[2001:db8::7]:6379`",
    );
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port),
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let is_host = match text.starts_with('[') {
        true => host.parse::<Ipv6Addr>().is_ok(),
        false => !host.is_empty(),
    };
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().ok(),
        None => port.is_empty().then_some(default),
    };
    match port {
        Some(port) if is_host => Ok((host.to_owned(), port)),
        _ => Err(wrong),
    }
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

/// Without users and passwords.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, servers): (_, Vec<_>) = match self {
            Self::Server(nodes) => {
                let scheme = match nodes.first().map(|node| node.addr()) {
                    Some(ConnectionAddr::Unix(_)) => "unix",
                    Some(ConnectionAddr::TcpTls { .. }) => "rediss",
                    _ => "redis",
                };
                (
                    scheme,
                    nodes.iter().map(|node| shown(node.addr())).collect(),
                )
            }
            Self::Sentinel { sentinels, tls, .. } => {
                let scheme = if *tls {
                    "rediss+sentinel"
                } else {
                    "redis+sentinel"
                };
                (scheme, sentinels.iter().map(shown).collect())
            }
        };
        write!(f, "{scheme}://{}", servers.join(","))?;
        let db = match self {
            Self::Server(nodes) => nodes.first().map_or(0, |node| node.redis_settings().db()),
            Self::Sentinel { name, login, .. } => {
                write!(f, "/{name}")?;
                login.db()
            }
        };
        match db {
            0 => Ok(()),
            db => write!(f, "/{db}"),
        }
    }
}

/// A server's address as it is written in a URL.
fn shown(address: &ConnectionAddr) -> String {
    match address {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            match host.contains(':') {
                true => format!("[{host}]:{port}"),
                false => format!("{host}:{port}"),
            }
        }
        ConnectionAddr::Unix(path) => path.display().to_string(),
        other => other.to_string(),
    }
}
