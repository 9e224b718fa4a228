//! A round: a rollout begins, something happens to whoever runs it, and somebody brings it to its end.

use std::time::Duration;

use fastrand::Rng;
use serde_json::Value;

use super::hosts::Hosts;
use super::journal::{text, token};
use crate::support::cli::Started;

/// Above all that a rollout may wait for here: its lease, its time-out, and a provider that has to start.
const BOUND: Duration = Duration::from_secs(60);

/// How a rollout begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    Flip,
    Shift,
    Ramp,
    Deploy,
    Rollback,
}

/// When something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// So long after the command was started, whatever it does then: often at the SET.
    Moment,
    Up,
    Verify,
    Before,
    Confirm,
    Production,
    After,
    ConfirmBack,
    BackHooks,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strike {
    /// The runner is killed.
    Kill,
    /// And so is the one that carries it on.
    KillTwice,
    /// The runner sleeps until another one has its place.
    Sleep,
    /// The runner sleeps for a while: for about as long as the lease lasts.
    Nap,
    /// The runner is told to stop, where it is a provider.
    Term,
    /// Production breaks.
    Break,
    /// Production breaks, and the runner is killed.
    BreakAndKill,
    PauseAndResume,
    PauseAndAbort,
    /// It is paused, its runner is killed, and it is to go on.
    PauseAndKill,
    Abort,
    /// Somebody sets the key.
    Set(&'static str),
    /// Somebody else goes back.
    Rollback,
}

/// What is going to happen.
#[derive(Clone, Debug)]
pub(super) struct Round {
    pub(super) begin: Begin,
    pub(super) at: At,
    pub(super) strike: Strike,
    /// How long after that it happens.
    pub(super) after: Duration,
    pub(super) detached: bool,
    pub(super) verified: bool,
    /// How long production is watched, in seconds: shorter than a lease lasts, or longer.
    pub(super) watched: u32,
}

/// What has happened.
pub(super) struct Struck {
    /// The stage of the record then, where there was one.
    pub(super) stage: String,
    /// With which code its command has ended, where it was not killed.
    pub(super) code: Option<i32>,
}

impl Round {
    pub(super) fn any(rng: &mut Rng) -> Self {
        use Strike::*;
        let of = [
            Begin::Flip,
            Begin::Flip,
            Begin::Shift,
            Begin::Ramp,
            Begin::Ramp,
            Begin::Deploy,
            Begin::Rollback,
        ];
        let begin = of[rng.usize(..of.len())];
        let at: &[At] = match begin {
            Begin::Rollback => &[At::Moment, At::Confirm, At::BackHooks],
            Begin::Deploy => &[
                At::Up,
                At::Up,
                At::Verify,
                At::Before,
                At::Confirm,
                At::Production,
                At::After,
                At::ConfirmBack,
            ],
            _ => &[
                At::Moment,
                At::Verify,
                At::Before,
                At::Confirm,
                At::Production,
                At::Production,
                At::After,
                At::ConfirmBack,
                At::BackHooks,
            ],
        };
        let strikes = [
            Kill,
            Kill,
            Kill,
            KillTwice,
            KillTwice,
            Sleep,
            Sleep,
            Nap,
            Nap,
            Term,
            Break,
            BreakAndKill,
            PauseAndResume,
            PauseAndAbort,
            PauseAndKill,
            Abort,
            Set("blue"),
            Set("green"),
            Set("blue:30,green:70"),
            Rollback,
        ];
        let at = at[rng.usize(..at.len())];
        let strike = strikes[rng.usize(..strikes.len())];
        Self {
            begin,
            at,
            strike,
            after: Duration::from_millis(match (at, strike) {
                (At::Moment, _) => rng.u64(20..300),
                _ => rng.u64(..30),
            }),
            // Only a terminal brings a color up. A provider is told to stop where it runs one.
            detached: begin != Begin::Deploy && (strike == Term || rng.u8(..3) == 0),
            verified: matches!(at, At::Verify | At::ConfirmBack | At::BackHooks) || rng.u8(..4) > 0,
            watched: if rng.bool() { 1 } else { 7 },
        }
    }

    /// The command, to this color.
    fn args(&self, to: &str) -> Vec<String> {
        let from = if to == "blue" { "green" } else { "blue" };
        let watched = format!("{}s", self.watched);
        let half = format!("{from}:40,{to}:60");
        let mut args: Vec<&str> = match self.begin {
            Begin::Flip => vec!["flip", to],
            Begin::Shift => vec!["shift", &half],
            Begin::Ramp => vec!["ramp", to, "--steps", "30,100", "--interval", &watched],
            Begin::Deploy => vec!["deploy", to],
            Begin::Rollback => vec!["rollback"],
        };
        if self.detached {
            args.push("--detach");
        }
        match self.verified {
            false => args.push("--no-verify"),
            true if self.begin == Begin::Rollback => {}
            true => args.extend(["--bake", &watched]),
        }
        args.into_iter().map(str::to_owned).collect()
    }

    /// It happens, with what holds up the stage at which it is to happen; gives what happened, once the rollout has ended
    /// and everything is well again.
    pub(super) async fn happen(&self, hosts: &mut Hosts, to: &str, rng: &mut Rng) -> Struck {
        let last = text(&hosts.journal.newest()["id"]).to_owned();
        self.hold_up(hosts, to);
        let args = self.args(to);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut run = Some(hosts.command(&args).start());
        self.wait_for(hosts, &last, to, run.as_mut()).await;
        tokio::time::sleep(self.after).await;
        let is_new = |record: &Value| text(&record["id"]) != last;
        let record = hosts.journal.newest();
        let stage = match is_new(&record) {
            true => text(&record["stage"]).to_owned(),
            false => "before the first write".to_owned(),
        };
        self.strike(hosts, &last, to, &mut run, rng).await;
        // What held it up goes on.
        hosts.late.cont();
        hosts.verifies(to, true);
        std::fs::remove_file(hosts.front.config().with_file_name("hold")).ok();
        let code = match run {
            Some(mut run) => Some(run.code().await),
            None => None,
        };
        for adopter in &mut hosts.adopters {
            if adopter.has_ended() {
                adopter.restart().await;
            }
        }
        // The last write of one that was killed may still be on its way.
        hosts.redis.cli(&["PING"]).await;
        let what = "the rollout ends";
        hosts
            .journal
            .has(what, BOUND, |record| !record["outcome"].is_null())
            .await;
        hosts.serves(to, true);
        Struck { stage, code }
    }

    fn hold_up(&self, hosts: &Hosts, to: &str) {
        match self.at {
            At::Up => {
                std::fs::write(hosts.front.config().with_file_name("hold"), "").unwrap();
            }
            At::Verify => hosts.verifies(to, false),
            At::Confirm => hosts.late.stop(),
            At::Moment
            | At::Before
            | At::Production
            | At::After
            | At::ConfirmBack
            | At::BackHooks => {}
        }
    }

    /// Waits until the rollout is where something is to happen to it, or has ended before.
    async fn wait_for(&self, hosts: &Hosts, last: &str, to: &str, run: Option<&mut Started>) {
        let reaches = async |stage: &str| {
            let is_there = |record: &Value| {
                text(&record["id"]) != last && [stage, "ended"].contains(&text(&record["stage"]))
            };
            let what = format!("the rollout is at {stage}");
            hosts.journal.has(&what, BOUND, is_there).await;
        };
        let there = async {
            match self.at {
                At::Moment => {}
                At::Up => reaches("up").await,
                At::Verify => reaches("verify").await,
                At::Before => reaches("before").await,
                At::After => reaches("after").await,
                At::BackHooks if self.begin == Begin::Rollback => reaches("backHooks").await,
                At::BackHooks => {
                    reaches("production").await;
                    hosts.serves(to, false);
                    reaches("backHooks").await;
                }
                At::Confirm => reaches("confirm").await,
                At::Production => reaches("production").await,
                At::ConfirmBack => {
                    reaches("production").await;
                    hosts.late.stop();
                    hosts.serves(to, false);
                    reaches("confirmBack").await;
                }
            }
        };
        // A command that refuses writes no record.
        let refused = async {
            let code = match run {
                Some(run) => run.code().await,
                None => 0,
            };
            if self.detached && code == 0 {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = there => {}
            () = refused => {}
        }
    }

    async fn strike(
        &self,
        hosts: &mut Hosts,
        last: &str,
        to: &str,
        run: &mut Option<Started>,
        rng: &mut Rng,
    ) {
        let wants = async |hosts: &Hosts, args: &[&str]| {
            hosts.command(args).run().await;
        };
        match self.strike {
            Strike::Kill => drop(kill(hosts, last, run)),
            Strike::KillTwice => {
                let token = kill(hosts, last, run);
                taken_over(hosts, last, &token).await;
                kill(hosts, last, run);
            }
            Strike::Sleep => {
                let (token, sleeper) = stop(hosts, last, run.as_mut());
                taken_over(hosts, last, &token).await;
                wake(hosts, sleeper, run.as_mut());
            }
            Strike::Nap => {
                let (_, sleeper) = stop(hosts, last, run.as_mut());
                tokio::time::sleep(Duration::from_millis(rng.u64(100..6500))).await;
                wake(hosts, sleeper, run.as_mut());
            }
            Strike::Term => match runner(hosts, last) {
                Some(nth) => {
                    hosts.adopters[nth].terminate().await;
                }
                None => drop(kill(hosts, last, run)),
            },
            Strike::Break => hosts.serves(to, false),
            Strike::BreakAndKill => {
                hosts.serves(to, false);
                tokio::time::sleep(Duration::from_millis(rng.u64(..4000))).await;
                kill(hosts, last, run);
            }
            Strike::PauseAndResume | Strike::PauseAndAbort | Strike::PauseAndKill => {
                wants(hosts, &["rollout", "pause"]).await;
                if self.strike == Strike::PauseAndKill {
                    let token = kill(hosts, last, run);
                    taken_over(hosts, last, &token).await;
                }
                let want = match self.strike {
                    Strike::PauseAndAbort => "abort",
                    _ => "resume",
                };
                wants(hosts, &["rollout", want, "--detach"]).await;
            }
            Strike::Abort => wants(hosts, &["rollout", "abort", "--detach"]).await,
            Strike::Set(value) => {
                hosts.redis.cli(&["SET", "active", value]).await;
            }
            Strike::Rollback => wants(hosts, &["rollback"]).await,
        }
    }
}

/// The provider that runs the rollout; none where a terminal does.
fn runner(hosts: &Hosts, last: &str) -> Option<usize> {
    let record = hosts.journal.newest();
    match text(&record["id"]) == last {
        true => None,
        false => hosts.adopter(text(&record["runner"]["name"])),
    }
}

/// Kills the runner; gives its token.
fn kill(hosts: &mut Hosts, last: &str, run: &mut Option<Started>) -> String {
    match runner(hosts, last) {
        Some(nth) => hosts.adopters[nth].kill(),
        None => run.take().into_iter().for_each(Started::kill),
    }
    token(&hosts.journal.newest()).to_owned()
}

/// Has the runner sleep, where it still runs; gives its token, and which provider it is.
fn stop(hosts: &Hosts, last: &str, run: Option<&mut Started>) -> (String, Option<usize>) {
    let runner = runner(hosts, last);
    match runner {
        Some(nth) => hosts.adopters[nth].stop(),
        None => signal(run, "STOP"),
    }
    (token(&hosts.journal.newest()).to_owned(), runner)
}

fn wake(hosts: &Hosts, sleeper: Option<usize>, run: Option<&mut Started>) {
    match sleeper {
        Some(nth) => hosts.adopters[nth].cont(),
        None => signal(run, "CONT"),
    }
}

fn signal(run: Option<&mut Started>, signal: &str) {
    if let Some(run) = run
        && !run.has_ended()
    {
        run.signal(signal);
    }
}

/// Waits until somebody else runs the rollout, or it has ended, or there never was one.
async fn taken_over(hosts: &Hosts, last: &str, before: &str) {
    let is_taken = |record: &Value| {
        let is_new = text(&record["id"]) != last;
        !is_new || !record["outcome"].is_null() || ![before, ""].contains(&token(record))
    };
    let what = "somebody else runs the rollout";
    hosts.journal.has(what, BOUND, is_taken).await;
}
