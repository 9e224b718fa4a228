//! The database, which both colors share.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::{Object, Pool, Transaction};
use tokio_postgres::{Config, Row};

use super::deal::{Action, Approval, Deal, Event, State};
use super::input::{Decision, NewDeal};
use super::problem::Problem;
use super::{connections, migrations};
use crate::health;
use crate::server::{Deployment, say, told};

/// The longest pause between two tries to reach the database at the start.
const MAX_PAUSE: Duration = Duration::from_secs(2);

const DEAL: &str = "
    SELECT d.id, d.title, d.amount, d.currency, d.state, d.created_at, d.updated_at, a.by, a.note, a.at
    FROM deals d
    LEFT JOIN LATERAL (
        SELECT by, note, at FROM deal_events
        WHERE deal_id = d.id AND state = 'approved' ORDER BY id DESC LIMIT 1
    ) a ON true";

/// The pool of connections, and who uses it.
pub(crate) struct Database {
    pool: Pool,
    deployment: Deployment,
    migrated: AtomicBool,
    /// Whether the operator was told that the database is away: once, and not at every request.
    away: AtomicBool,
}

impl Database {
    /// Connects nowhere yet.
    ///
    /// # Errors
    ///
    /// The settings can't be used.
    pub(crate) fn new(config: Config, deployment: &Deployment) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            pool: connections::pool(config, deployment)?,
            deployment: deployment.clone(),
            migrated: AtomicBool::new(false),
            away: AtomicBool::new(false),
        })
    }

    /// Brings the tables to where this version wants them, as soon as the database answers.
    pub(crate) async fn migrate(&self) {
        let mut pause = Duration::from_millis(100);
        let mut said = String::new();
        while let Err(problem) = self.try_to_migrate().await {
            // Once, not at every try.
            if said != problem {
                say(&format!("the tables are not there yet: {problem}"));
                said = problem;
            }
            tokio::time::sleep(pause).await;
            pause = MAX_PAUSE.min(pause * 2);
        }
        self.migrated.store(true, Ordering::Release);
        say("the tables are there");
    }

    async fn try_to_migrate(&self) -> Result<(), String> {
        let client = self.pool.get().await;
        let mut client = client.map_err(|error| connections::without(&error))?;
        let applied = migrations::apply(&mut client).await;
        applied.map_err(|error| told(&error))
    }

    /// A connection that works.
    async fn client(&self) -> Result<Object, Problem> {
        if !self.migrated.load(Ordering::Acquire) {
            let error = "the database is not there yet".to_owned();
            return Err(Problem::Database(error));
        }
        let got = tokio::time::timeout(health::PATIENCE, self.pool.get()).await;
        let why = match got {
            Ok(Ok(client)) => {
                if self.away.swap(false, Ordering::Relaxed) {
                    say("the database answers again");
                }
                return Ok(client);
            }
            Ok(Err(error)) => connections::without(&error),
            Err(_) => connections::silent(),
        };
        let error = format!("the database can't be reached: {why}");
        if !self.away.swap(true, Ordering::Relaxed) {
            say(&error);
        }
        Err(Problem::Database(error))
    }

    /// # Errors
    ///
    /// The database does not answer, or is not migrated yet.
    pub(crate) async fn ping(&self) -> Result<(), String> {
        match self.client().await {
            // Getting a connection has tried it.
            Ok(_) => Ok(()),
            Err(Problem::Database(error)) => Err(error),
            Err(other) => Err(format!("{other:?}")),
        }
    }

    /// The newest deals, of one state or of all.
    pub(crate) async fn list(
        &self,
        state: Option<State>,
        limit: u32,
    ) -> Result<Vec<Deal>, Problem> {
        let client = self.client().await?;
        let sql =
            format!("{DEAL} WHERE $1::text IS NULL OR d.state = $1 ORDER BY d.id DESC LIMIT $2");
        let rows = client
            .query(&sql, &[&state.map(State::name), &i64::from(limit)])
            .await?;
        rows.iter().map(|row| deal(row, None)).collect()
    }

    /// A deal with its history.
    pub(crate) async fn find(&self, id: i64) -> Result<Deal, Problem> {
        let mut client = self.client().await?;
        // Both are of one moment.
        let transaction = client.transaction().await?;
        find(&transaction, id).await
    }

    /// Creates a draft.
    pub(crate) async fn create(&self, new: &NewDeal) -> Result<Deal, Problem> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await?;
        let NewDeal {
            title,
            amount,
            currency,
        } = new;
        let state = State::Draft;
        let sql = "INSERT INTO deals (title, amount, currency, state) VALUES ($1, $2, $3, $4) RETURNING id";
        let row = transaction
            .query_one(sql, &[title, amount, currency, &state.name()])
            .await?;
        let id = row.try_get(0)?;
        self.record(&transaction, id, state, None).await?;
        let deal = find(&transaction, id).await?;
        transaction.commit().await?;
        Ok(deal)
    }

    /// Moves a deal on, if its state allows it. Of two that do it at the same time, the second finds the new state.
    pub(crate) async fn act(
        &self,
        id: i64,
        action: Action,
        decision: Option<&Decision>,
    ) -> Result<Deal, Problem> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await?;
        lock(&transaction, id, action).await?;
        if let Some(state) = action.reaches() {
            let sql = "UPDATE deals SET state = $2, updated_at = now() WHERE id = $1";
            transaction.execute(sql, &[&id, &state.name()]).await?;
            self.record(&transaction, id, state, decision).await?;
        }
        let deal = find(&transaction, id).await?;
        transaction.commit().await?;
        Ok(deal)
    }

    /// Removes a deal with its history, if its state allows it.
    pub(crate) async fn remove(&self, id: i64) -> Result<(), Problem> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await?;
        lock(&transaction, id, Action::Delete).await?;
        transaction
            .execute("DELETE FROM deals WHERE id = $1", &[&id])
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn record(
        &self,
        transaction: &Transaction<'_>,
        id: i64,
        state: State,
        decision: Option<&Decision>,
    ) -> Result<(), Problem> {
        let Deployment { color, version } = &self.deployment;
        let (by, note) = decision.map(|d| (&d.approver, &d.note)).unzip();
        let sql = "INSERT INTO deal_events (deal_id, state, color, version, by, note)
                   VALUES ($1, $2, $3, $4, $5, $6)";
        transaction
            .execute(sql, &[&id, &state.name(), color, version, &by, &note])
            .await?;
        Ok(())
    }
}

/// Keeps others from the deal until the transaction ends, and checks that its state allows the action.
async fn lock(transaction: &Transaction<'_>, id: i64, action: Action) -> Result<(), Problem> {
    let sql = "SELECT state FROM deals WHERE id = $1 FOR UPDATE";
    let row = transaction.query_opt(sql, &[&id]).await?;
    let state = state(&row.ok_or_else(|| Problem::no_deal(id))?, 0)?;
    if state.allowed().contains(&action) {
        Ok(())
    } else {
        Err(Problem::NotAllowed(state, action))
    }
}

async fn find(transaction: &Transaction<'_>, id: i64) -> Result<Deal, Problem> {
    let sql = format!("{DEAL} WHERE d.id = $1");
    let row = transaction.query_opt(&sql, &[&id]).await?;
    let row = row.ok_or_else(|| Problem::no_deal(id))?;
    let sql = "SELECT state, at, color, version, by, note FROM deal_events WHERE deal_id = $1 ORDER BY id";
    let events = transaction.query(sql, &[&id]).await?;
    let history: Result<_, Problem> = events
        .iter()
        .map(|row| {
            Ok(Event {
                state: state(row, 0)?,
                at: row.try_get(1)?,
                color: row.try_get(2)?,
                version: row.try_get(3)?,
                by: row.try_get(4)?,
                note: row.try_get(5)?,
            })
        })
        .collect();
    deal(&row, Some(history?))
}

/// A row of `DEAL`.
fn deal(row: &Row, history: Option<Vec<Event>>) -> Result<Deal, Problem> {
    let by: Option<String> = row.try_get(7)?;
    let approval = match by {
        None => None,
        Some(approver) => Some(Approval {
            approver,
            note: row.try_get(8)?,
            at: row.try_get(9)?,
        }),
    };
    Ok(Deal {
        id: row.try_get(0)?,
        title: row.try_get(1)?,
        amount: row.try_get(2)?,
        currency: row.try_get(3)?,
        state: state(row, 4)?,
        created_at: row.try_get(5)?,
        updated_at: row.try_get(6)?,
        approval,
        history,
    })
}

/// A newer version may have states that this one does not know.
fn state(row: &Row, column: usize) -> Result<State, Problem> {
    let name: &str = row.try_get(column)?;
    State::named(name)
        .ok_or_else(|| Problem::Database(format!("this version knows no deals that are `{name}`")))
}

impl From<tokio_postgres::Error> for Problem {
    fn from(error: tokio_postgres::Error) -> Self {
        let error = told(&error);
        say(&format!("the database: {error}"));
        Self::Database(format!("the database: {error}"))
    }
}
