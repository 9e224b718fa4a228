//! `status`.

use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;
use futures_util::future::join_all;
use serde_json::json;

use super::change::note_unreadable;
use super::view::View;
use super::{Common, Exit, Failure, block_on, print_json, print_json_line, print_lines};
use crate::config::Config;
use crate::rollout::before;
use crate::store::{Session, StoreError};
use crate::verify::health;

/// Shows what runs: the traffic of each stack, since when and by whom, the health of each color, the providers, and what
/// every Traefik has.
///
/// It asks the store, so it sees every Traefik behind every provider; and each server that has a health path, once. Exit codes: 0; 2 usage or config mistake; 6
/// the store could not be reached; with --check also 3, where something is wrong: a key that is not followed; no
/// provider, or one that does not follow the key, serves something else or has a config that waits or is refused; no
/// Traefik, or one that does not have the traffic or has disabled a router; a server of a color with traffic that is not
/// well.
#[derive(Debug, Args)]
pub struct Status {
    /// Show it anew whenever something changes, until Ctrl-C
    #[arg(long, short = 'w', env = "BLUEGREEN_WATCH", value_parser = crate::flag::parse)]
    watch: bool,
    /// Exit with 3 where something is wrong, for monitoring
    #[arg(long, env = "BLUEGREEN_CHECK", value_parser = crate::flag::parse, conflicts_with = "watch")]
    check: bool,
}

/// How often it is shown anew where nothing changes: ages grow.
const REFRESH: Duration = Duration::from_secs(1);

impl Status {
    /// Runs it.
    ///
    /// # Errors
    ///
    /// See its exit codes.
    pub(super) fn run(self, common: &Common) -> Result<(), Failure> {
        let Self { watch, check } = self;
        let config = common.load()?;
        let only = common
            .stack
            .as_ref()
            .map(|_| common.stack(&config))
            .transpose()?
            .map(|(name, _)| name);
        block_on(async {
            loop {
                let failed = |error| Failure::store(&common.store, &error, "");
                let key = config.stacks.values().next().map(|stack| &*stack.key);
                let session = common.store.connect(key.unwrap_or_default()).await;
                let mut session = session.map_err(failed)?;
                loop {
                    let views = read(&mut session, &config, only).await.map_err(failed)?;
                    show(common, &views, watch);
                    if check {
                        return judge(common, &views);
                    }
                    if !watch {
                        return Ok(());
                    }
                    let changed = tokio::time::timeout(REFRESH, session.changed()).await;
                    if matches!(changed, Ok(Err(_))) {
                        break;
                    }
                }
            }
        })
    }
}

async fn read<'a>(
    session: &mut Session,
    config: &'a Config,
    only: Option<&str>,
) -> Result<Vec<View<'a>>, StoreError> {
    let mut views = Vec::new();
    for (name, stack) in config
        .stacks
        .iter()
        .filter(|(name, _)| only.is_none_or(|only| only == *name))
    {
        let key = session.read_one(&stack.key).await?;
        let (reports, unreadable) = before::reports(session, &stack.key).await?;
        note_unreadable(&stack.key, unreadable.as_ref());
        let looks = stack
            .colors
            .iter()
            .map(async |color| (color, health::look(stack, color, health::GLANCE).await));
        let kept = session.rollout_of(&stack.key).await?;
        views.push(View {
            name,
            stack,
            key,
            reports,
            kept,
            servers: join_all(looks).await,
        });
    }
    Ok(views)
}

/// Fails where anything is wrong.
fn judge(common: &Common, views: &[View<'_>]) -> Result<(), Failure> {
    let wrong = views.iter().flat_map(|view| {
        let wrong = view.wrong().into_iter();
        wrong.map(move |wrong| format!("{}: {wrong}", view.name))
    });
    let wrong: Vec<_> = wrong.collect();
    let message = match wrong.as_slice() {
        [] => return Ok(()),
        // The object has them.
        _ if common.json => String::new(),
        [one] => one.clone(),
        [first, more @ ..] => format!("{first}; and {} more", more.len()),
    };
    Err(Failure::new(Exit::Refused, message))
}

fn show(common: &Common, views: &[View<'_>], watch: bool) {
    if common.json {
        let stacks: serde_json::Map<_, _> = views
            .iter()
            .map(|view| (view.name.to_owned(), view.json()))
            .collect();
        let value = json!({ "store": common.store.to_string(), "stacks": stacks });
        // Watched, one object a line.
        if watch {
            print_json_line(&value)
        } else {
            print_json(&value)
        }
        return;
    }
    // Erase the screen and go to its top (ECMA-48, ED and CUP).
    let clear = if watch && std::io::stdout().is_terminal() {
        "\x1b[2J\x1b[H"
    } else {
        ""
    };
    let lines = views.iter().flat_map(View::lines);
    print_lines(clear, lines);
}
