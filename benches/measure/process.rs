//! What the kernel says of a process, and which programs were measured on which machine.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::support::redis::tool;

/// Ticks of the kernel's clock in a second, as `times` in /proc counts them (proc(5); 100 on Linux).
const TICKS: f64 = 100.0;

/// The memory of a process, in kB (proc(5), VmRSS).
pub fn memory(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse().unwrap()
}

/// The CPU time of a process so far, in seconds (proc(5), utime and stime).
pub fn cpu(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name in parentheses may hold anything.
    let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks = fields[11..13].iter().map(|t| t.parse::<f64>().unwrap());
    ticks.sum::<f64>() / TICKS
}

/// The machine and the versions, on one line.
pub fn versions() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown CPU", |(_, model)| model.trim());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let traefik = said_by(&tool("traefik"), "version", "Version:");
    let redis = said_by(&tool("redis-server"), "--version", "v=");
    let haproxy = said_by(&tool("haproxy"), "-v", "version");
    let caddy = said_by(&tool("caddy"), "version", "");
    format!(
        "{model}, {cores} cores; bluegreen {}, Traefik {traefik}, Redis {redis}, HAProxy {haproxy}, Caddy {caddy}",
        env!("CARGO_PKG_VERSION")
    )
}

/// The word after a mark in what a program says of its version.
fn said_by(program: &Path, argument: &str, mark: &str) -> String {
    let output = Command::new(program).arg(OsStr::new(argument)).output();
    let Ok(output) = output else {
        return "none".to_owned();
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let after = text.split_once(mark).map_or("", |(_, after)| after);
    let word = after.split_whitespace().next().unwrap_or("?");
    word.trim_start_matches('v').to_owned()
}
