//! The figures that a guard goes by: while several colors share the traffic of a stack, those are judged whom the guard may
//! have to refuse more of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::task::JoinSet;

use super::Shared;
use crate::color::Color;
use crate::config::Config;
use crate::rollout::analysis::{Analysis, Standing};
use crate::traffic::Traffic;
use crate::verify::report::Outcome;

/// The figures that fail, by color: what each is, and why it fails.
pub type Failing = BTreeMap<Color, Vec<(String, String)>>;

/// Judges each stack whose guard asks for it, for as long as its traffic is the same.
pub async fn watch(shared: Arc<Shared>) {
    let mut publications = shared.state.publications();
    let mut judged: BTreeMap<String, (Arc<Config>, Traffic, JoinSet<()>)> = BTreeMap::new();
    loop {
        publications.mark_unchanged();
        let serving = shared.state.serving();
        let config = &serving.config;
        let stacks = config.stacks.iter();
        let stacks = stacks.filter(|(_, it)| it.guard.as_ref().is_some_and(|it| it.analysis));
        let wanted = stacks.filter_map(|(name, _)| {
            let traffic = &serving.stacks.get(name)?.traffic;
            traffic.sole().is_none().then_some((name, traffic))
        });
        let wanted: BTreeMap<_, _> = wanted.collect();
        judged.retain(|name, (of, traffic, _)| {
            let same = Arc::ptr_eq(of, config) && wanted.get(name) == Some(&&*traffic);
            if !same {
                shared.figures.send_modify(|figures| {
                    figures.remove(name);
                });
            }
            same
        });
        for (name, traffic) in wanted {
            judged.entry(name.clone()).or_insert_with(|| {
                let mut judge = JoinSet::new();
                let (config, traffic) = (Arc::clone(config), traffic.clone());
                judge.spawn(look_again(
                    Arc::clone(&shared),
                    name.clone(),
                    Arc::clone(&config),
                    traffic.clone(),
                ));
                (config, traffic, judge)
            });
        }
        if publications.changed().await.is_err() {
            return;
        }
    }
}

/// Judges each color that has some of the traffic, beside the one that has the most of the rest.
async fn look_again(shared: Arc<Shared>, name: String, config: Arc<Config>, traffic: Traffic) {
    let Some(stack) = config.stacks.get(&name) else {
        return;
    };
    let analyses = traffic.colors().filter_map(|color| {
        let others = traffic.colors().filter(|other| *other != color);
        let other = others.max_by_key(|other| traffic.weight(other));
        let analysis = Analysis::begin(&name, stack, std::slice::from_ref(color), other)?;
        Some((color.clone(), analysis))
    });
    let mut analyses: Vec<_> = analyses.collect();
    let began = Instant::now();
    let mut before = Failing::new();
    while let Some(every) = analyses.first().map(|(_, analysis)| analysis.every()) {
        let instances = shared.fleet.overview();
        let instances = instances
            .iter()
            .map(|it| (&*it.entry.id, &*it.entry.address));
        let instances: Vec<_> = instances.collect();
        let mut failing = Failing::new();
        for (color, analysis) in &mut analyses {
            let look = analysis.look(&instances, began.elapsed()).await;
            if look.standing == Standing::Failed {
                let lines = look.lines.into_iter();
                let failed = lines.filter_map(|line| match line.outcome {
                    Outcome::Failed(why) | Outcome::Unmeasured(why) => Some((line.name, why)),
                    _ => None,
                });
                failing.insert(color.clone(), failed.collect());
            }
        }
        tell(&name, &before, &failing);
        before.clone_from(&failing);
        shared.figures.send_modify(|figures| {
            figures.insert(name.clone(), failing);
        });
        tokio::time::sleep(every).await;
    }
}

/// Whose figures fail now, and whose no longer.
fn tell(stack: &str, before: &Failing, after: &Failing) {
    for (color, failing) in after
        .iter()
        .filter(|(color, _)| !before.contains_key(color))
    {
        let why: Vec<_> = failing
            .iter()
            .map(|(name, why)| format!("{name}: {why}"))
            .collect();
        let why = why.join("; ");
        tracing::warn!(stack, %color, why, "the figures of a color fail: the guard gives it no more traffic");
    }
    for color in before.keys().filter(|color| !after.contains_key(color)) {
        tracing::info!(stack, %color, "the figures of a color keep their limits again");
    }
}
