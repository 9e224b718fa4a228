//! The looks at the figures of the traffic, beside all else that is asked of production while it is watched.

use std::collections::BTreeMap;
use std::time::Instant;

use super::analysis::{Analysis, Look, Measured, Standing};
use super::context::Context;
use super::event::Event;
use crate::registry::fleet;
use crate::store::{Session, StoreError};
use crate::traffic::Traffic;
use crate::verify::measure::Told;
use crate::verify::report::Report;

/// The looks of one step.
pub(super) struct Looks<'a> {
    context: &'a Context<'a>,
    analysis: Analysis,
    began: Instant,
    session: Option<Session>,
    /// Name and address of each instance, as they were last reported.
    instances: Vec<(String, String)>,
    /// What was told to be wrong, by name, and in which word.
    told: BTreeMap<String, &'static str>,
}

impl<'a> Looks<'a> {
    /// Begins with a step from one traffic to another; none where the stack has no analysis. The colors that gain are
    /// judged, beside the one that has most of the rest.
    pub(super) fn begin(
        context: &'a Context<'a>,
        to: &Traffic,
        from: Option<&Traffic>,
    ) -> Option<Self> {
        let judged = to.gaining(from);
        let beside = to.beside(&judged, from);
        Some(Self {
            context,
            analysis: Analysis::begin(context.name, context.stack, &judged, beside)?,
            began: Instant::now(),
            session: None,
            instances: Vec::new(),
            told: BTreeMap::new(),
        })
    }

    /// The first look, which all others are reckoned from.
    pub(super) async fn first(&mut self) {
        let look = self.look().await;
        self.tell_wrong(&look);
    }

    /// Looks at intervals until they fail; gives what the last look saw.
    pub(super) async fn fail(&mut self) -> Report {
        loop {
            tokio::time::sleep(self.analysis.every()).await;
            let look = self.look().await;
            self.tell_wrong(&look);
            if look.standing == Standing::Failed {
                return Report::new(look.lines);
            }
        }
    }

    /// Looks once more in the end, and again while something fails that does not count yet; gives what the last look saw.
    ///
    /// # Errors
    ///
    /// The same, where it fails.
    pub(super) async fn last(&mut self) -> Result<Report, Report> {
        let mut more = self.analysis.failures().saturating_sub(1);
        loop {
            let look = self.look().await;
            match in_the_end(look.standing, more) {
                Last::Passes => {
                    let tell = self.context.tell;
                    tell(Event::Round { quietly: false });
                    for line in &look.lines {
                        tell(Event::Check(Told::Line(line)));
                    }
                    return Ok(Report::new(look.lines));
                }
                Last::Fails => {
                    self.tell_wrong(&look);
                    return Err(Report::new(look.lines));
                }
                Last::Again => self.tell_wrong(&look),
            }
            more -= 1;
            tokio::time::sleep(self.analysis.every()).await;
        }
    }

    /// What was measured so far.
    pub(super) fn measured(&self) -> Vec<Measured> {
        self.analysis.measured()
    }

    async fn look(&mut self) -> Look {
        if self.analysis.asks_instances()
            && let Err(error) = self.read_instances().await
        {
            tracing::debug!(%error, "the reports can't be read: those that were known are asked");
        }
        let instances: Vec<_> = self
            .instances
            .iter()
            .map(|(name, address)| (&**name, &**address))
            .collect();
        self.analysis.look(&instances, self.began.elapsed()).await
    }

    /// Reads who polls now.
    async fn read_instances(&mut self) -> Result<(), StoreError> {
        // One that is in the middle of something when this is dropped is not used again.
        let mut session = match self.session.take() {
            Some(session) => session,
            None => self.context.store.connect(&self.context.stack.key).await?,
        };
        let reports = session.reports(&self.context.stack.key).await?;
        let instances = fleet(&reports)
            .iter()
            .filter(|seen| seen.is_waited_for())
            .map(|seen| (seen.instance.id.clone(), seen.instance.address.clone()))
            .collect();
        self.instances = instances;
        self.session = Some(session);
        Ok(())
    }

    /// Tells what is wrong, once for as long as it is.
    fn tell_wrong(&mut self, look: &Look) {
        let tell = self.context.tell;
        for line in &look.lines {
            let word = line.outcome.word();
            if line.outcome.is_good() {
                self.told.remove(&line.name);
            } else if self.told.insert(line.name.clone(), word) != Some(word) {
                tell(Event::Check(Told::Line(line)));
            }
        }
    }
}

/// What comes of a step by its last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Passes,
    Fails,
    /// That is not known yet: another look is made.
    Again,
}

/// What comes of a step that ends with figures that stand so, where so many more looks may be made: one that ends beyond
/// the limits has not passed.
fn in_the_end(standing: Standing, more: u32) -> Last {
    match standing {
        Standing::Passed | Standing::NotEnough | Standing::Unknown => Last::Passes,
        Standing::Failing if more > 0 => Last::Again,
        Standing::Failing | Standing::Failed => Last::Fails,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_ends_with_figures_beyond_their_limits_has_not_passed() {
        for (standing, with_more, without) in [
            (Standing::Passed, Last::Passes, Last::Passes),
            (Standing::NotEnough, Last::Passes, Last::Passes),
            (Standing::Unknown, Last::Passes, Last::Passes),
            (Standing::Failing, Last::Again, Last::Fails),
            (Standing::Failed, Last::Fails, Last::Fails),
        ] {
            assert_eq!(in_the_end(standing, 1), with_more, "{standing:?}");
            assert_eq!(in_the_end(standing, 0), without, "{standing:?}");
        }
    }
}
