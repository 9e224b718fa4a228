//! `serve`.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;

use super::{Common, Exit, Failure, use_ring};
use crate::log;
use crate::serve::access::{Access, Tokens};
use crate::serve::renewed::Renewed;
use crate::serve::{Settings, run, tls};
use crate::token::Rights;

/// Serves the endpoint that Traefik's HTTP provider polls, until SIGTERM.
///
/// Only an explicit, valid value of the key moves traffic. Whatever else happens to the store, the last good traffic
/// stands; it is also kept in the state directory. SIGHUP and any change of the config file reload it; one with a
/// mistake is refused. At SIGTERM the polls that are held get their answer before it ends. A socket that systemd
/// passes is used in the place of --listen. Certificates, keys and token files that are replaced are taken over, too.
#[derive(Debug, Args)]
pub struct Serve {
    /// The address to listen on
    #[arg(
        long,
        env = "BLUEGREEN_LISTEN",
        default_value = "127.0.0.1:9000",
        value_name = "ADDRESS"
    )]
    listen: String,
    /// How long a poll's answer is withheld while nothing changes; `Prefer: wait=SECONDS` of a request overrides it; 0 turns holding off.
    /// Must be below Traefik's pollTimeout (5s unless set) [default: 4s, or until just before the next poll, at most 4.75s]
    #[arg(long, env = "BLUEGREEN_HOLD", value_parser = crate::duration::parse, value_name = "DURATION")]
    hold: Option<Duration>,
    /// Where the last good traffic is kept [default: `.bluegreen` beside the config]
    #[arg(long, env = "BLUEGREEN_STATE_DIR", value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// What all that reads must show, as `Authorization: Bearer TOKEN` or as a password
    #[arg(
        long,
        env = "BLUEGREEN_READ_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    read_token: Option<String>,
    /// The same from a file
    #[arg(
        long,
        env = "BLUEGREEN_READ_TOKEN_FILE",
        value_name = "FILE",
        conflicts_with = "read_token"
    )]
    read_token_file: Option<PathBuf>,
    /// What all that changes must show; without it nothing is changed over HTTP
    #[arg(
        long,
        env = "BLUEGREEN_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    token: Option<String>,
    /// The same from a file
    #[arg(
        long,
        env = "BLUEGREEN_TOKEN_FILE",
        value_name = "FILE",
        conflicts_with = "token"
    )]
    token_file: Option<PathBuf>,
    /// Tokens with names, stacks and rights, in YAML; what reads must show one of them, then, or the read token
    #[arg(long, env = "BLUEGREEN_TOKENS_FILE", value_name = "FILE")]
    tokens_file: Option<PathBuf>,
    /// The endpoint's certificate chain, in PEM: it speaks TLS then
    #[arg(
        long,
        env = "BLUEGREEN_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key"
    )]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key, in PEM
    #[arg(
        long,
        env = "BLUEGREEN_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    tls_key: Option<PathBuf>,
    /// Who signs the certificates of the clients that may come, in PEM; without it any client may
    #[arg(
        long,
        env = "BLUEGREEN_TLS_CLIENT_CA",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    tls_client_ca: Option<PathBuf>,
    /// Carry on no rollout: neither one that was handed over, nor one whose runner is gone
    #[arg(long, env = "BLUEGREEN_NO_ROLLOUTS", value_parser = crate::flag::parse)]
    no_rollouts: bool,
    /// The form of the log
    #[arg(
        long,
        env = "BLUEGREEN_LOG_FORMAT",
        default_value = "text",
        value_name = "FORMAT"
    )]
    log_format: log::Format,
}

impl Serve {
    /// Runs it.
    ///
    /// # Errors
    ///
    /// A config mistake, an address that can't be listened on, or a part that fails while it serves.
    pub(super) fn run(self, common: &Common) -> Result<(), Failure> {
        let Self {
            listen,
            hold,
            state_dir,
            read_token,
            read_token_file,
            token,
            token_file,
            tokens_file,
            tls_cert,
            tls_key,
            tls_client_ca,
            no_rollouts,
            log_format,
        } = self;
        log::init(
            log_format,
            log::Level::of_server(common.verbose, common.quiet),
        );
        let access = Access {
            read_token: one_of("read token", Rights::Read, read_token, read_token_file)?,
            token: one_of("token", Rights::Flip, token, token_file)?,
            tokens: tokens_file.map(many).transpose()?,
        };
        use_ring();
        let tls = match (tls_cert, tls_key) {
            (Some(cert), Some(key)) => Some(acceptor(cert, key, tls_client_ca)?),
            _ => None,
        };
        let config = common.load()?;
        let listener = listener(&listen)?;
        let beside = if common.config.is_dir() {
            Some(common.config.as_path())
        } else {
            common.config.parent()
        };
        let settings = Settings {
            config_path: common.config.clone(),
            config,
            store: common.store.clone(),
            state_dir: state_dir
                .unwrap_or_else(|| beside.unwrap_or(".".as_ref()).join(".bluegreen")),
            hold,
            access,
            tls,
            rollouts: (!no_rollouts).then(|| common.place()),
        };
        let failed = |error: std::io::Error| Failure::new(Exit::Failed, error.to_string());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
            let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
            let stop = async move {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            };
            run(settings, listener, stop).await.map_err(failed)
        })
    }
}

/// A token from the command line or from a file.
fn one_of(
    what: &'static str,
    rights: Rights,
    token: Option<String>,
    file: Option<PathBuf>,
) -> Result<Option<Arc<Renewed<Tokens>>>, Failure> {
    let token = match (token, file) {
        (Some(token), _) => Tokens::one(&token, rights).map(|token| Renewed::fixed(what, token)),
        (None, Some(file)) => Renewed::read(what, vec![file.clone()], move || {
            Tokens::one_from_file(&file, rights)
        }),
        (None, None) => return Ok(None),
    };
    let unusable = |error| Failure::new(Exit::Usage, format!("the {what}: {error}"));
    token.map(Arc::new).map(Some).map_err(unusable)
}

/// The tokens of a file.
fn many(file: PathBuf) -> Result<Arc<Renewed<Tokens>>, Failure> {
    let read = Renewed::read("tokens file", vec![file.clone()], move || {
        Tokens::from_file(&file)
    });
    read.map(Arc::new).map_err(|error| {
        let text = error.to_string();
        let mut lines = text.lines().map(str::to_owned);
        let first = lines.next().unwrap_or_default();
        let mut failure = Failure::new(Exit::Usage, format!("the tokens file: {first}"));
        failure.details = lines.collect();
        failure
    })
}

/// What speaks TLS with these files.
fn acceptor(
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
) -> Result<Arc<Renewed<TlsAcceptor>>, Failure> {
    let mut files = vec![certificate.clone(), key.clone()];
    files.extend(client_ca.clone());
    let read = move || tls::acceptor(&certificate, &key, client_ca.as_deref());
    let tls = Renewed::read("TLS certificate", files, read);
    let unusable = |error| Failure::new(Exit::Usage, format!("TLS: {error}"));
    tls.map(Arc::new).map_err(unusable)
}

/// The socket that systemd passes (sd_listen_fds(3)), or a new one.
fn listener(address: &str) -> Result<TcpListener, Failure> {
    let passed = listenfd::ListenFd::from_env().take_tcp_listener(0);
    let passed = passed.map_err(|error| {
        Failure::new(
            Exit::Failed,
            format!("the socket that was passed in LISTEN_FDS can't be used: {error}"),
        )
    })?;
    if let Some(listener) = passed {
        return Ok(listener);
    }
    TcpListener::bind(address).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => Failure::new(
            Exit::Failed,
            format!("{address} is in use: another `bluegreen serve` or program listens there"),
        )
        .hint("stop it, or give another address with --listen"),
        std::io::ErrorKind::InvalidInput => Failure::new(
            Exit::Usage,
            format!("--listen `{address}` is not an address"),
        )
        .hint("give HOST:PORT"),
        _ => Failure::new(
            Exit::Failed,
            format!("{address} can't be listened on: {error}"),
        ),
    })
}
