//! Rollouts with hooks and gates, and what hooks and other terminals do to them.

mod approve;
mod freeze;
mod hooks;
mod nested;
mod up;

use std::time::{Duration, Instant};

use crate::care::Site;
use crate::support::eventually;
use crate::support::load;
use crate::support::stack::HOSTS;

/// Longer than anything here takes that is waited for.
const SOON: Duration = Duration::from_secs(40);

/// Gives the stack these keys, and has the provider know them.
async fn configure(site: &Site, keys: &str) {
    site.reconfigure("    services:\n", &format!("{keys}    services:\n"));
    let log = site.provider.log();
    let same = || log.count("the config is the same as before");
    let known = same();
    eventually("the provider knows it", SOON, async || {
        site.provider.signal("HUP");
        match same() > known {
            true => Ok(()),
            false => Err(log.to_string()),
        }
    })
    .await;
}

/// What commands have written into this file in the folder of the config.
fn written(site: &Site, name: &str) -> String {
    let file = site.provider.config().with_file_name(name);
    std::fs::read_to_string(file).unwrap_or_default()
}

/// Waits until commands have written this.
async fn writes(site: &Site, name: &str, text: &str) {
    eventually("it is written", SOON, async || {
        let is = written(site, name);
        if is == text { Ok(()) } else { Err(is) }
    })
    .await;
}

/// Waits until `bluegreen rollout` says this.
async fn shows(site: &Site, text: &str) {
    eventually(text, SOON, async || {
        let shown = site.command(&["rollout"]).any_code().any_stdout();
        let shown = shown.run().await;
        match shown.stdout.contains(text) {
            true => Ok(()),
            false => Err(format!("{shown:?}")),
        }
    })
    .await;
}

/// Lets commands that wait for this file go on.
fn touch(site: &Site, name: &str) {
    std::fs::write(site.provider.config().with_file_name(name), "").unwrap();
}

/// No request has failed, and from now on this color answers all.
async fn all_is_well(load: load::Running, color: &str) {
    let now = Instant::now();
    load.goes_on(now, HOSTS.len()).await;
    let report = load.stop().await;
    report.assert_no_failures();
    report.assert_all(now, color);
}
