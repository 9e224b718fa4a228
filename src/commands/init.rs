//! `init`.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::{Common, Exit, Failure, print_as_it_is, print_json, talk, talk_report};
use crate::color::Color;
use crate::config::Servers;
use crate::init::{self, Problem, Written};

/// Writes a bluegreen.yml from compose files, or from a dynamic file of Traefik's.
///
/// Give the compose file of each color, that of Traefik, and its dynamic file: `bluegreen init compose.blue.yml
/// compose.green.yml proxy.yml routing.yml`. What was found, and what to look at, is told on stderr; what could not be
/// found is a comment in the file. The file always passes `bluegreen check`, and none is overwritten.
///
/// Exit codes: 0 written; 1 it can't be written; 2 usage, a file that can't be read, or nothing to switch was found.
#[derive(Debug, Args)]
pub struct Init {
    /// Compose files, dynamic files of Traefik's, or its traefik.yml
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The words by which files or services of each color are told apart; the first has the traffic
    #[arg(long, env = "BLUEGREEN_COLORS", default_value = "blue,green", value_delimiter = ',', value_parser = color, value_name = "COLOR,COLOR")]
    colors: Vec<Color>,
    /// Print it instead of writing it, as does `--config -`
    #[arg(long, env = "BLUEGREEN_STDOUT", value_parser = crate::flag::parse)]
    stdout: bool,
    /// Write it in place of a file that is there
    #[arg(long, env = "BLUEGREEN_FORCE", value_parser = crate::flag::parse)]
    force: bool,
}

fn color(text: &str) -> Result<Color, String> {
    text.trim()
        .parse()
        .map_err(|error: crate::color::InvalidColor| error.to_string())
}

impl Init {
    /// Runs it.
    ///
    /// # Errors
    ///
    /// As its help says.
    pub(super) fn run(self, common: &Common) -> Result<(), Failure> {
        let Self {
            files,
            colors,
            stdout,
            force,
        } = self;
        let doubled = colors
            .iter()
            .enumerate()
            .any(|(i, color)| colors[..i].contains(color));
        if colors.len() < 2 || doubled {
            return Err(Failure::new(
                Exit::Usage,
                "--colors needs at least two different colors",
            ));
        }
        let written = init::init(&files, &colors, common.stack.as_deref()).map_err(failure)?;
        let stdout = stdout || common.config == Path::new("-");
        if !stdout {
            write(&common.config, &written.text, force)?;
        }
        match (common.json, stdout) {
            (true, _) => print_json(&json!({
                "file": (!stdout).then(|| common.config.display().to_string()),
                "config": stdout.then_some(&written.text),
                "notes": written.notes,
                "unknown": written.unknown.iter().map(|(line, text)| json!({ "line": line, "text": text })).collect::<Vec<_>>(),
                "variables": written.variables.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            })),
            (false, true) => print_as_it_is(written.text.trim_end()),
            (false, false) => {}
        }
        if !common.quiet {
            tell(&written, (!stdout).then_some(&common.config));
        }
        Ok(())
    }
}

fn failure(problem: Problem) -> Failure {
    if let Some(report) = &problem.report {
        talk_report(report);
    }
    Failure {
        exit: Exit::Usage,
        message: problem.message,
        details: problem.details,
        hint: problem.hint,
        checks: None,
    }
}

/// Writes the file, so that it is there whole or not at all; one that is there already only by force.
fn write(path: &Path, text: &str, force: bool) -> Result<(), Failure> {
    let shown = path.display();
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(
            Exit::Failed,
            format!("{shown} can't be written: {error}; nothing was changed"),
        )
        .hint("name another file with --config, or print it with --stdout")
    };
    if path.is_dir() {
        return Err(failed(&"it is a folder"));
    }
    // A link stays one.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let dir = path
        .parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    // Whoever serves it has to read it: the umask decides, as for any new file.
    let mode = path
        .metadata()
        .map_or(0o666, |metadata| metadata.permissions().mode());
    let mut file = tempfile::Builder::new()
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(dir)
        .map_err(|error| failed(&error))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.as_file().sync_all())
        .map_err(|error| failed(&error))?;
    let kept = if force {
        file.persist(&path)
    } else {
        file.persist_noclobber(&path)
    };
    match kept {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Err(Failure::new(
            Exit::Failed,
            format!("{shown} is there already; nothing was changed"),
        )
        .hint(
            "name another file with --config, print it with --stdout, or replace it with --force",
        )),
        Err(error) => Err(failed(&error.error)),
    }
}

/// Says what was found, what to look at, and what to do next.
fn tell(written: &Written, path: Option<&PathBuf>) {
    for (name, stack) in &written.config.stacks {
        let s = if stack.services.len() == 1 { "" } else { "s" };
        talk(&format!(
            "found {} service{s} of the stack {name}:",
            stack.services.len()
        ));
        for (name, service) in &stack.services {
            let servers = service
                .servers
                .iter()
                .map(|(color, servers)| match servers {
                    Servers::Urls(urls) => format!("{color} {}", urls.join(", ")),
                    Servers::Reference(name) => format!("{color} {name}"),
                });
            let servers: Vec<_> = servers.collect();
            talk(&format!(
                "  {name}  {}  {}",
                service.rule,
                servers.join("  ")
            ));
        }
    }
    for note in &written.notes {
        talk(&format!("note: {note}"));
    }
    let shown = path.map_or_else(
        || "bluegreen.yml".to_owned(),
        |path| path.display().to_string(),
    );
    if !written.unknown.is_empty() {
        talk("look at:");
        for (line, text) in &written.unknown {
            talk(&format!("  {shown}:{line}: {text}"));
        }
    }
    if path.is_some() {
        talk(&format!("{shown} is written"));
    }
    next(written, path).lines().for_each(talk);
}

/// What to do next.
fn next(written: &Written, path: Option<&PathBuf>) -> String {
    let config = match path {
        Some(path) if path != Path::new("bluegreen.yml") => format!(" --config {}", path.display()),
        _ => String::new(),
    };
    let mut text = format!("next:\n  bluegreen check{config}\n");
    let variables: Vec<_> = written
        .variables
        .iter()
        .map(|(name, at)| format!("{name}={at}"))
        .collect();
    if !variables.is_empty() {
        text.push_str(&format!(
            "  for `serve` beside a Traefik in a container, which reaches the servers by name:\n    {}\n",
            variables.join("\n    ")
        ));
    }
    text.push_str(&format!(
        "  bluegreen serve{config}    (Redis is at --store; without one, --store file:DIR)\n"
    ));
    let already = if written.polls {
        " (it polls an HTTP provider already)"
    } else {
        ""
    };
    text.push_str(&format!(
        "  Traefik with these settings{already}:
    --providers.http.endpoint=http://127.0.0.1:9000/traefik
    --providers.http.pollInterval=100ms
    --providers.http.headers.Prefer=wait=1
    --providers.http.headers.X-Traefik-Instance=edge-1
    --providers.providersThrottleDuration=100ms\n"
    ));
    if written.in_container {
        text.push_str(
                "  It runs in a container: there the endpoint is http://host.docker.internal:9000/traefik, or
    http://bluegreen:9000/traefik with bluegreen in its network; both need `serve --listen 0.0.0.0:9000`\n",
        );
    }
    for file in &written.dynamics {
        text.push_str(&format!(
            "  once that serves, take {} away from Traefik: both would route the same requests\n",
            file.display()
        ));
    }
    if written.labelled {
        text.push_str("  once that serves, take the routers' labels away: both would route the same requests\n");
    }
    let idle = written
        .config
        .stacks
        .values()
        .find_map(|stack| stack.colors.get(1));
    if let Some(idle) = idle {
        text.push_str(&format!("  bluegreen flip {idle}{config}"));
    }
    text
}
