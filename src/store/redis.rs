//! The store in Redis.
//!
//! Redis tells of changes by `CLIENT TRACKING` (RESP3, default mode, which every server of the kind has): whatever
//! this connection read is followed by one push at its next change, and reading again arms the next one.

mod error;
mod form;
mod kept;
mod read;
mod write;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, PushInfo, PushKind, RedisError, RedisResult,
    Value,
};
use tokio::sync::mpsc;

use error::{is_broken, is_down, read_error, unreachable, write_error};
use form::{age, fields, invalidated, is_list_field, list_field, stamped};

use super::address::{Address, elsewhere};
use super::scripts::{RECORD, RECORD_REFUSAL, REPORT};
use super::{Changed, StoreError, history_key, refused_key, registry_key};
use crate::history::{self, Entry, OutsideChange, RefusedChange};
use crate::registry::{Aged, Instance, Peer, Report, STOPPED_AFTER, Told};

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long an answer may take. A server that is stopped or cut off is noticed by this alone.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(500);

/// How often Sentinels are asked whether a connection still leads to the primary.
const ASK_SENTINELS_AGAIN: Duration = Duration::from_secs(1);

/// The reports of how many stacks go to Redis, or come from it, at once: those of many must not wait for an answer each.
const REPORTS_AT_ONCE: usize = 64;

/// After so many nodes of a cluster that each name another one, they do not agree.
const MOST_REDIRECTIONS: usize = 5;

/// The fields of a hash.
type Fields = HashMap<String, Vec<u8>>;

/// One connection to Redis, which is told of changes.
pub struct Connection {
    redis: MultiplexedConnection,
    pushes: mpsc::UnboundedReceiver<PushInfo>,
    /// Whether Redis tells of changes of what this connection has read.
    tracks: bool,
    /// Keys whose histories are short enough to read, and when that was found out.
    short_histories: BTreeMap<String, Instant>,
    /// Where the connection leads, while Sentinel can name another primary at any time.
    primary: Option<(Address, ConnectionAddr)>,
}

impl Connection {
    /// Connects to the server that has this key.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unreachable`], with the reason.
    pub async fn open(address: &Address, key: &str) -> Result<Self, StoreError> {
        let clients = tokio::time::timeout(CONNECT_TIMEOUT, address.clients())
            .await
            .map_err(|_| StoreError::Unreachable("no Sentinel answered in time".to_owned()))?
            .map_err(unreachable)?;
        let mut failed = None;
        for client in clients {
            match Self::open_at(address, client, key).await {
                Ok(connection) => return Ok(connection),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        Err(failed.map_or_else(
            || StoreError::Unreachable("it names no server".to_owned()),
            unreachable,
        ))
    }

    /// Connects to this server, or to that node of its cluster that has the key.
    async fn open_at(address: &Address, mut client: Client, key: &str) -> RedisResult<Self> {
        let mut redirected = 0;
        let (redis, pushes) = loop {
            let (sender, pushes) = mpsc::unbounded_channel();
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(CONNECT_TIMEOUT))
                .set_response_timeout(Some(RESPONSE_TIMEOUT))
                .set_push_sender(sender);
            let mut redis = client
                .get_multiplexed_async_connection_with_config(&config)
                .await?;
            let asked: RedisResult<Value> =
                redis::cmd("STRLEN").arg(key).query_async(&mut redis).await;
            let error = match asked {
                // Another node may be on the side of a partition where there is an owner.
                Err(error) if is_broken(&error) || is_down(&error) => return Err(error),
                Err(error) => Some(error),
                Ok(_) => None,
            };
            match error.as_ref().and_then(RedisError::redirect_node) {
                Some((there, _)) if redirected < MOST_REDIRECTIONS => {
                    client = elsewhere(&client, there)?;
                    redirected += 1;
                }
                // What else is wrong, reading the key will say.
                _ => break (redis, pushes),
            }
        };
        let primary = match address {
            Address::Server(_) => None,
            Address::Sentinel { .. } => {
                Some((address.clone(), client.get_connection_info().addr().clone()))
            }
        };
        Ok(Self {
            redis,
            pushes,
            tracks: false,
            short_histories: BTreeMap::new(),
            primary,
        })
    }

    /// Has Redis tell of what is read from now on. A connection that only writes must not: what its scripts read would be
    /// told of, too, and nobody would take the news.
    async fn track(&mut self) -> Result<(), StoreError> {
        if std::mem::replace(&mut self.tracks, true) {
            return Ok(());
        }
        let mut tracking = redis::cmd("CLIENT");
        tracking.arg("TRACKING").arg("ON");
        let tracking: RedisResult<()> = tracking.query_async(&mut self.redis).await;
        match tracking {
            Ok(()) => {}
            // Without the right to it there is still the read once a second.
            Err(error) if !is_broken(&error) => {
                tracing::warn!(%error, "redis does not tell of changes here: they are noticed within a second");
            }
            Err(error) => return Err(unreachable(error)),
        }
        Ok(())
    }

    /// See [`super::Session::changed`].
    pub(super) async fn changed(&mut self) -> Result<Changed, StoreError> {
        let closed = || StoreError::Unreachable("the connection was closed".to_owned());
        let mut names = BTreeSet::new();
        let mut next = self.pushes.recv().await;
        // Several changes at once are one.
        while let Some(push) = next {
            match push.kind {
                PushKind::Invalidate => match invalidated(push) {
                    Changed::Names(more) => names.extend(more),
                    // Nothing that is named besides could add to it.
                    Changed::Anything => return Ok(Changed::Anything),
                },
                PushKind::Disconnection => return Err(closed()),
                _ => {}
            }
            next = match self.pushes.try_recv() {
                Ok(push) => Some(push),
                Err(_) if !names.is_empty() => return Ok(Changed::Names(names)),
                Err(_) => self.pushes.recv().await,
            };
        }
        Err(closed())
    }

    /// See [`super::Session::elsewhere`]. After a graceful failover the old primary keeps its connections open, and
    /// silent, for many seconds.
    pub(super) fn elsewhere(&self) -> impl Future<Output = StoreError> + use<> {
        let primary = self.primary.clone();
        async move {
            let Some((address, here)) = primary else {
                return std::future::pending().await;
            };
            loop {
                tokio::time::sleep(ASK_SENTINELS_AGAIN).await;
                let named = tokio::time::timeout(CONNECT_TIMEOUT, address.clients()).await;
                // Sentinels that don't answer are no reason to leave a primary that does.
                let named = named.ok().and_then(Result::ok).unwrap_or_default();
                if let Some(client) = named.first()
                    && let there = client.get_connection_info().addr()
                    && *there != here
                {
                    let why = format!("{there} is the primary now, after {here}");
                    return StoreError::Unreachable(why);
                }
            }
        }
    }

    /// See [`super::Session::record`].
    pub(super) async fn record(
        &mut self,
        key: &str,
        value: &[u8],
        entry: &Entry,
    ) -> Result<(), StoreError> {
        let mut eval = redis::cmd("EVAL");
        eval.arg(RECORD).arg(2).arg(key).arg(history_key(key));
        eval.arg(value)
            .arg(&entry.to)
            .arg(&entry.from)
            .arg(history::KEPT);
        eval.arg(entry.at.to_string()).arg(&entry.by);
        eval.query_async(&mut self.redis).await.map_err(write_error)
    }

    /// See [`super::Session::record_refusal`].
    pub(super) async fn record_refusal(
        &mut self,
        refused: &RefusedChange,
    ) -> Result<(), StoreError> {
        let OutsideChange { key, value, entry } = &refused.change;
        let mut eval = redis::cmd("EVAL");
        eval.arg(RECORD_REFUSAL)
            .arg(2)
            .arg(key)
            .arg(refused_key(key));
        eval.arg(value).arg(&refused.refused);
        eval.arg(refused.told_since().as_millisecond());
        eval.arg(history::REFUSALS_KEPT);
        for (field, value) in fields(entry) {
            eval.arg(field).arg(value);
        }
        eval.query_async(&mut self.redis).await.map_err(write_error)
    }

    /// See [`super::Session::report`].
    pub(super) async fn report(
        &mut self,
        reports: &[(String, Report)],
        instances: Option<&[Instance]>,
    ) -> Result<bool, StoreError> {
        let all = instances.map(serde_json::to_string).transpose();
        let all = all.map_err(StoreError::refused)?;
        let mut listed = true;
        let mut failed = None;
        for reports in reports.chunks(REPORTS_AT_ONCE) {
            let mut pipeline = redis::pipe();
            pipeline.ignore_errors();
            for (key, report) in reports {
                let field = list_field(&report.provider);
                let json = serde_json::to_string(report).map_err(StoreError::refused)?;
                let list = match instances {
                    Some(instances) if !instances.iter().all(|i| report.concerns(i)) => {
                        let concerned: Vec<_> =
                            instances.iter().filter(|i| report.concerns(i)).collect();
                        Some(serde_json::to_string(&concerned).map_err(StoreError::refused)?)
                    }
                    _ => all.clone(),
                };
                pipeline.cmd("EVAL").arg(REPORT).arg(1);
                pipeline.arg(registry_key(key)).arg(&report.provider);
                pipeline.arg(json).arg(field).arg(list);
            }
            let answers: Vec<RedisResult<i64>> = pipeline
                .query_async(&mut self.redis)
                .await
                .map_err(write_error)?;
            for answer in answers {
                match answer {
                    Ok(new) => listed &= new == 0 || instances.is_some(),
                    Err(error) => failed = failed.or(Some(write_error(error))),
                }
            }
        }
        failed.map_or(Ok(listed), Err)
    }

    /// See [`super::Session::reports`].
    pub(super) async fn reports(&mut self, key: &str) -> Result<Vec<Aged>, StoreError> {
        let mut registries = self.registries(&[key.to_owned()]).await?;
        let empty = || Ok((0, Fields::new()));
        let (now, reports) = registries.pop().unwrap_or_else(empty)?;
        let aged = reports.iter().filter_map(|(provider, report)| {
            // A report that an older or newer provider wrote in another form is none for us, nor is one whose list is
            // yet to come.
            let (report, age) = stamped(report, now)?;
            let (instances, _) = stamped(reports.get(&list_field(provider))?, now)?;
            Some(Aged::new(report, age, instances))
        });
        Ok(aged.collect())
    }

    /// See [`super::Session::told`].
    pub(super) async fn told(
        &mut self,
        keys: &[String],
    ) -> Result<Vec<Result<Told, StoreError>>, StoreError> {
        let registries = self.registries(keys).await?.into_iter();
        let told = registries.map(|registry| {
            let (now, reports) = registry?;
            Ok(told(now, &reports))
        });
        Ok(told.collect())
    }

    /// All that is in each key's registry, and the server's time in milliseconds.
    async fn registries(
        &mut self,
        keys: &[String],
    ) -> Result<Vec<Result<(u64, Fields), StoreError>>, StoreError> {
        self.track().await?;
        let mut registries = Vec::new();
        for keys in keys.chunks(REPORTS_AT_ONCE) {
            let mut pipeline = redis::pipe();
            for key in keys {
                pipeline.cmd("TIME");
                pipeline.cmd("HGETALL").arg(registry_key(key));
            }
            let mut answers = self.ask(pipeline).await?;
            while let (Some(time), Some(fields)) = (answers.next(), answers.next()) {
                registries.push(registry(time, fields).map_err(read_error));
            }
        }
        Ok(registries)
    }
}

/// A registry, by the answers of TIME and HGETALL.
fn registry(time: RedisResult<Value>, fields: RedisResult<Value>) -> RedisResult<(u64, Fields)> {
    let (seconds, micros): (u64, u64) = redis::from_redis_value(time?)?;
    let fields: HashMap<Vec<u8>, Vec<u8>> = redis::from_redis_value(fields?)?;
    let text = |name: Vec<u8>| String::from_utf8_lossy(&name).into_owned();
    let fields = fields.into_iter().map(|(name, value)| (text(name), value));
    Ok((seconds * 1000 + micros / 1000, fields.collect()))
}

/// What the reports tell.
fn told(now: u64, fields: &Fields) -> Told {
    let mut reports = Vec::new();
    let mut unreadable = Vec::new();
    for (provider, report) in fields.iter().filter(|(field, _)| !is_list_field(field)) {
        match stamped(report, now) {
            Some(stamped) => reports.push(stamped),
            // It hides none of the others. What is in one that has stopped makes no difference.
            None if age(report, now).is_some_and(|(age, _)| age >= STOPPED_AFTER) => {}
            None => unreadable.push(Peer {
                traffic: Err(format!("the report of provider `{provider}` can't be read")),
                since: None,
            }),
        }
    }
    let mut told = Told::of(reports);
    told.peers.extend(unreadable);
    told
}
