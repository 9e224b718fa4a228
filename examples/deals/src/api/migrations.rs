//! What brings the tables to where this version wants them.
//!
//! A migration is applied once, by whichever color comes first, and only ever adds: the other color works on, whether
//! it knows of the addition or not.

use tokio_postgres::{Client, Error};

use crate::server::say;

/// In their order; the first has the number 1. One that was released is never changed.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/1.sql")];

/// Keeps the colors from migrating at the same time. Any number that nobody else locks by.
const LOCK: i64 = 0x0064_6561_6c73;

/// Applies those that are not applied yet: all of them, or none.
///
/// # Errors
///
/// The database has gone, or refuses one; or the other color is at it for too long.
pub(super) async fn apply(client: &mut Client) -> Result<(), Error> {
    let transaction = client.transaction().await?;
    transaction
        .execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
        .await?;
    // A migration may take longer than what a request does.
    transaction
        .batch_execute(
            "SET LOCAL statement_timeout = 0;
             CREATE TABLE IF NOT EXISTS migrations (number int PRIMARY KEY)",
        )
        .await?;
    let row = transaction
        .query_one("SELECT coalesce(max(number), 0) FROM migrations", &[])
        .await?;
    let applied: i32 = row.try_get(0)?;
    let mut known = 0;
    for (number, migration) in (1..).zip(MIGRATIONS) {
        if number > applied {
            transaction.batch_execute(migration).await?;
            transaction
                .execute("INSERT INTO migrations VALUES ($1)", &[&number])
                .await?;
            say(&format!("migration {number} is applied"));
        }
        known = number;
    }
    if applied > known {
        say(&format!(
            "the database has migration {applied}, this version knows {known}: the other color is newer"
        ));
    }
    transaction.commit().await
}
