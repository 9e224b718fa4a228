//! The connections to the database: its address, and the pool.

use std::error::Error;
use std::ffi::OsStr;
use std::time::Duration;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command};
use deadpool_postgres::{
    Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType, Timeouts,
};
use tokio_postgres::{Config, NoTls};

use crate::health;
use crate::server::{Deployment, told};

/// Both colors, with some room, stay below PostgreSQL's default of 100.
const CONNECTIONS: usize = 8;

/// The longest that one statement runs, or waits for a lock. A request may take a little longer.
pub(super) const STATEMENT: Duration = Duration::from_secs(4);

/// Reads `DATABASE_URL`. Unlike clap's own, its errors are without the value, which has a password.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address;

impl TypedValueParser for Address {
    type Value = Config;

    fn parse_ref(
        &self,
        command: &Command,
        _: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Config, clap::Error> {
        read(value).map_err(|why| {
            let message = format!("the database's address can't be used: {why}\n");
            clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(command)
        })
    }
}

fn read(value: &OsStr) -> Result<Config, String> {
    let text = value.to_str().ok_or("it is not UTF-8")?;
    let config: Config = text
        .parse()
        .map_err(|error: tokio_postgres::Error| told(&error))?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err("it names no host".to_owned());
    }
    Ok(config)
}

/// A pool that connects nowhere yet.
///
/// # Errors
///
/// The settings can't be used.
pub(super) fn pool(mut config: Config, deployment: &Deployment) -> Result<Pool, Box<dyn Error>> {
    config.application_name(format!("deals-api-{}", deployment.color));
    config.connect_timeout(health::PATIENCE);
    let options = config.get_options().unwrap_or_default();
    let limit = STATEMENT.as_millis();
    let options = format!("-c statement_timeout={limit} -c lock_timeout={limit} {options}");
    config.options(options.trim_end());
    let manager = ManagerConfig {
        // A connection is tried before it is used, and replaced if it is dead: after a restart of the database the
        // first request succeeds, and nothing has to be repeated of which nobody knows whether it was done.
        recycling_method: RecyclingMethod::Verified,
    };
    let pool = Pool::builder(Manager::from_config(config, NoTls, manager))
        .max_size(CONNECTIONS)
        .runtime(Runtime::Tokio1)
        .timeouts(Timeouts {
            wait: Some(health::PATIENCE),
            create: Some(health::PATIENCE),
            recycle: Some(health::PATIENCE),
        })
        .build()?;
    Ok(pool)
}

/// Why there is no connection, in few words.
pub(super) fn without(error: &PoolError) -> String {
    match error {
        PoolError::Backend(error) => told(error),
        PoolError::Timeout(TimeoutType::Wait) => "all connections are in use".to_owned(),
        PoolError::Timeout(_) => silent(),
        other => told(other),
    }
}

/// What is said of a database that is there, and does not answer.
pub(super) fn silent() -> String {
    format!("there was no connection within {:?}", health::PATIENCE)
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn an_address_that_can_not_be_used_is_told_without_its_password() {
        for address in [
            "",
            "hello",
            "postgres://",
            "postgres://deals:s3cret@:99999/deals",
            "host=db port=s3cret",
        ] {
            let why = read(address.as_ref()).expect_err(address);
            assert!(!why.is_empty() && !why.contains("s3cret"), "{why}");
        }
        for address in [
            "postgres://deals:s3cret@db:5432/deals",
            "host=/run/postgresql",
        ] {
            assert!(read(address.as_ref()).is_ok(), "{address}");
        }
    }
}
