//! The containers of a color: each of its compose project's runs, and is healthy where it has a health check.
//!
//! Docker's Engine is asked, where [`engine`](super::engine) finds it.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use bollard::Docker;
use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum as State, HealthStatusEnum as Health,
};
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};
use jiff::Timestamp;

use super::Verify;
use super::engine::{self, Engine};
use super::measure::{Limits, Pauses, measure};
use super::report::{Kind, Line, Outcome};
use crate::color::Color;

/// How long the engine may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A container that was restarted has to run for so long before it counts as running: one that ends again and again
/// runs most of the time, too.
const SETTLED: Duration = Duration::from_secs(10);

/// The labels of Docker Compose.
const PROJECT: &str = "com.docker.compose.project";
const SERVICE: &str = "com.docker.compose.service";
const ONE_OFF: &str = "com.docker.compose.oneoff";
const DEPENDS_ON: &str = "com.docker.compose.depends_on";

/// The check of a color's containers, where the config names its project.
pub(super) async fn check(verify: &Verify<'_>, color: &Color, limits: Limits) -> Option<Line> {
    let project = verify.stack.containers.get(color)?;
    let engine = engine::find(&|name| std::env::var(name).ok(), engine::SOCKET);
    if let Engine::Nowhere(looked) = &engine {
        let why = format!("there is no Docker engine here ({looked})");
        return Some(verify.line(Line::skipped(Kind::Containers, project, why)));
    }
    let attempt = async || {
        let host = match &engine {
            Engine::At(host) => host,
            Engine::Nowhere(why) | Engine::OutOfReach(why) => {
                return Outcome::Unmeasurable(why.clone());
            }
        };
        let looked = tokio::time::timeout(TIMEOUT, look(host, project)).await;
        let unmeasured = |why: &str| {
            Outcome::Unmeasured(format!("Docker's engine at {host} can't be asked: {why}"))
        };
        match looked {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => unmeasured(&error.to_string()),
            Err(_) => unmeasured(&format!("no answer within {TIMEOUT:?}")),
        }
    };
    let name = project.clone();
    Some(
        measure(
            Kind::Containers,
            name,
            limits,
            Pauses::LOOK,
            verify.tell,
            attempt,
        )
        .await,
    )
}

async fn look(host: &str, project: &str) -> Result<Outcome, bollard::errors::Error> {
    let docker = Docker::connect_with_host(host)?.negotiate_version().await?;
    let filters = HashMap::from([("label", vec![format!("{PROJECT}={project}")])]);
    let listed = ListContainersOptionsBuilder::default()
        .all(true)
        .filters(&filters)
        .build();
    let mut containers = Vec::new();
    for listed in docker.list_containers(Some(listed)).await? {
        let id = listed.id.unwrap_or_default();
        match docker
            .inspect_container(&id, None::<InspectContainerOptions>)
            .await
        {
            Ok(container) => containers.push(container),
            // It was removed in between.
            Err(bollard::errors::Error::DockerResponseServerError {
                status_code: 404, ..
            }) => {}
            Err(error) => return Err(error),
        }
    }
    containers.retain(|container| label(container, ONE_OFF) != "True");
    Ok(judge(&containers, project))
}

/// What is to be said of the containers of a project.
fn judge(containers: &[ContainerInspectResponse], project: &str) -> Outcome {
    if containers.is_empty() {
        return Outcome::Skipped(format!(
            "the engine has no container of the project `{project}`"
        ));
    }
    let jobs = jobs(containers);
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for container in containers {
        let is_job = jobs.contains(label(container, SERVICE));
        match standing(container, is_job) {
            Ok(standing) => good.push(format!("{} {standing}", name(container))),
            Err(standing) => bad.push(format!("{} {standing}", name(container))),
        }
    }
    if bad.is_empty() {
        Outcome::Passed(good.join(", "))
    } else {
        Outcome::Failed(bad.join("\n"))
    }
}

/// The services that others wait for to complete: they need not run.
fn jobs(containers: &[ContainerInspectResponse]) -> BTreeSet<&str> {
    let dependencies = containers
        .iter()
        .flat_map(|container| label(container, DEPENDS_ON).split(','));
    // `SERVICE:CONDITION:RESTART`
    let completed = dependencies.filter_map(|dependency| {
        let (service, rest) = dependency.split_once(':')?;
        rest.starts_with("service_completed_successfully")
            .then_some(service)
    });
    completed.collect()
}

/// How a container is, in words; an error where that is not well.
fn standing(container: &ContainerInspectResponse, is_job: bool) -> Result<String, String> {
    let state = container.state.as_ref();
    let status = state.and_then(|state| state.status).unwrap_or(State::EMPTY);
    let exit = state.and_then(|state| state.exit_code).unwrap_or_default();
    let killed = state.and_then(|state| state.oom_killed) == Some(true);
    let restarts = container.restart_count.unwrap_or_default();
    let restarted = match restarts {
        0 => String::new(),
        1 => ", restarted once".to_owned(),
        times => format!(", restarted {times} times"),
    };
    let memory = if killed { ", out of memory" } else { "" };
    match status {
        State::RUNNING => {}
        State::EXITED if is_job && exit == 0 => return Ok("has completed".to_owned()),
        State::EXITED | State::DEAD => {
            return Err(format!("has exited with code {exit}{memory}{restarted}"));
        }
        State::RESTARTING => {
            return Err(format!(
                "restarts after exit code {exit}{memory}{restarted}"
            ));
        }
        status => return Err(format!("is {status}{restarted}")),
    }
    let health = state.and_then(|state| state.health.as_ref());
    match health.and_then(|health| health.status) {
        Some(Health::UNHEALTHY) => {
            let log = health.and_then(|health| health.log.as_ref()?.last());
            let output = log.and_then(|result| result.output.as_deref());
            let said = output.and_then(|output| output.trim().lines().next());
            let said = said.map(|said| format!(": {said}")).unwrap_or_default();
            return Err(format!("is unhealthy{restarted}{said}"));
        }
        Some(Health::STARTING) => {
            return Err(format!(
                "runs, and its health check is still starting{restarted}"
            ));
        }
        Some(Health::HEALTHY) => return Ok(format!("is healthy{restarted}")),
        _ => {}
    }
    let started = state.and_then(|state| state.started_at.as_deref()?.parse::<Timestamp>().ok());
    let runs_for = started.and_then(|at| Duration::try_from(Timestamp::now() - at).ok());
    if let (1.., Some(time)) = (restarts, runs_for.filter(|time| *time < SETTLED)) {
        return Err(format!("runs for only {} s{restarted}", time.as_secs()));
    }
    Ok(format!("runs{restarted}"))
}

fn label<'a>(container: &'a ContainerInspectResponse, label: &str) -> &'a str {
    let config = container.config.as_ref();
    let labels = config.and_then(|config| config.labels.as_ref());
    labels
        .and_then(|labels| labels.get(label))
        .map_or("", String::as_str)
}

fn name(container: &ContainerInspectResponse) -> &str {
    let name = container.name.as_deref().unwrap_or("a container");
    name.trim_start_matches('/')
}
