//! `verify`.

use std::time::Instant;

use clap::Args;
use serde_json::json;

use super::board::{Board, Lines};
use super::change::{known_traffic, look as look_before};
use super::{Common, Exit, Failure, block_on, interrupt, print_json};
use crate::color::Color;
use crate::config::Stack;
use crate::registry::first_few;
use crate::rollout::standing::{Standing, look};
use crate::traffic::Traffic;
use crate::verify;
use crate::verify::measure::{Limits, Pauses, Told, measure};
use crate::verify::report::{Kind, Line, Outcome, Report, Verdict};

/// Verifies that a color can take the traffic, or that production serves it.
///
/// Of a color: the containers of its compose project run and are healthy, where a Docker engine is; every server of
/// every service answers its `health` path with 2xx, each replica by itself; then the smoke tests pass, the `checks` of
/// the config. Of production: every Traefik has the document of the traffic in force and has disabled no router of the
/// stack, as far as its API tells; every service answers through Traefik, by a color that has traffic where it says so
/// (header X-Color, or the stack's `colorHeader`); then the checks with `on: [production]`. Everything runs side by side,
/// and what fails is tried again until --timeout.
///
/// Exit codes: 0 everything passed; 1 nothing is known to be wrong, but something could not be measured, or there was
/// nothing to verify; 2 usage or config mistake; 3 a check failed; 6 the store could not be reached.
#[derive(Debug, Args)]
pub struct Verify {
    /// A color, or `production`
    #[arg(value_name = "COLOR|production")]
    target: String,
}

impl Verify {
    /// Runs it.
    ///
    /// # Errors
    ///
    /// See its exit codes.
    pub(super) fn run(self, common: &Common) -> Result<(), Failure> {
        let Self { target } = self;
        let config = common.load()?;
        let (name, stack) = common.stack(&config)?;
        let board = Board::new(common, Lines::Print);
        let tell = |told: Told<'_>| board.tell(told);
        let verify = verify::Verify {
            name,
            stack,
            folder: &common.folder(),
            tell: &tell,
        };
        let limits = Limits::until(Instant::now() + common.timeout);
        let color = stack.colors.iter().find(|color| color.as_str() == target);
        if color.is_none() && target != "production" {
            let colors: Vec<_> = stack.colors.iter().map(Color::as_str).collect();
            let message = format!("`{target}` is neither a color nor `production`");
            let hint = format!("the colors are {}", colors.join(", "));
            return Err(Failure::new(Exit::Usage, message).hint(hint));
        }
        let report = block_on(async {
            let mut interrupt = interrupt::listen()?;
            let report = async {
                match color {
                    Some(color) => Ok(verify.color(color, limits).await),
                    None => production(common, &verify, limits).await,
                }
            };
            tokio::select! {
                report = report => report,
                // What a check has started ends with it.
                () = interrupt.received() => Err(Failure::new(Exit::Failed, "interrupted")),
            }
        })?;
        drop(board);
        let count = |word: &str| {
            let lines = report.lines.iter();
            lines.filter(|line| line.outcome.word() == word).count()
        };
        let (exit, message) = match report.verdict() {
            Verdict::Passed => {
                if common.json {
                    print_json(&json!({
                        "exit": 0, "stack": name, "target": target, "checks": report.json(),
                    }));
                }
                return Ok(());
            }
            Verdict::Failed => (
                Exit::Refused,
                format!(
                    "{target}: {} of {} checks failed",
                    count("failed"),
                    report.lines.len()
                ),
            ),
            Verdict::Unmeasured => (
                Exit::Failed,
                format!(
                    "{target}: {} of {} checks could not be measured",
                    count("unmeasured"),
                    report.lines.len()
                ),
            ),
            Verdict::Nothing => (
                Exit::Failed,
                format!("{target}: there was nothing to verify"),
            ),
        };
        Err(Failure::new(exit, message).checks(report))
    }
}

/// The instances, their routers, and what answers through Traefik, side by side.
async fn production(
    common: &Common,
    verify: &verify::Verify<'_>,
    limits: Limits,
) -> Result<Report, Failure> {
    let before = look_before(common, verify.stack).await?;
    let traffic = known_traffic(&before, &verify.stack.key)?.clone();
    let (instances, routers, report) = futures_util::future::join3(
        instances(common, verify.stack, &traffic, limits, verify.tell),
        verify.routers(&common.store, limits),
        verify.production(&traffic, limits),
    )
    .await;
    let lines = [instances, routers].into_iter().chain(report.lines);
    Ok(Report::new(lines))
}

/// Whether every instance has the document of this traffic.
async fn instances(
    common: &Common,
    stack: &Stack,
    traffic: &Traffic,
    limits: Limits,
    tell: &verify::measure::Tell<'_>,
) -> Line {
    let mut session = None;
    let nobody = Default::default();
    let attempt = async || match look(&common.store, stack, &mut session, traffic, &nobody).await {
        Ok(Standing::Has(having)) if having.names.is_empty() => {
            Outcome::Failed("no Traefik polls any provider".to_owned())
        }
        Ok(Standing::Has(having)) => Outcome::Passed(format!(
            "{traffic} is with {}",
            first_few(having.names.iter())
        )),
        Ok(Standing::Lacks(late)) => Outcome::Failed(format!(
            "{traffic} is not confirmed by {}",
            first_few(late.iter())
        )),
        Ok(Standing::Moved(_)) => Outcome::Failed(format!(
            "the traffic was changed meanwhile: it is {traffic} no more"
        )),
        Err(error) => {
            session = None;
            Outcome::Unmeasured(format!(
                "the store {} can't be reached: {error}",
                common.store
            ))
        }
    };
    let name = format!("{traffic}");
    measure(Kind::Instances, name, limits, Pauses::LOOK, tell, attempt).await
}
