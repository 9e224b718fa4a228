//! A real browser without a window: Chromium, driven by chromedriver.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use thirtyfour::{ChromeCapabilities, ChromiumLikeCapabilities, DesiredCapabilities, WebDriver};

use super::eventually;
use super::port::{free_port, loopback};
use super::process::{Log, Process, guarded};

/// A browser takes its time on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// One window with a profile of its own. Nothing that it loads comes from outside this machine.
pub(crate) struct Browser {
    driver: Option<WebDriver>,
    process: Process,
    /// Last, because it is removed when nobody writes there any longer.
    _dir: TempDir,
}

impl Browser {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// As on a phone whose screen is this wide. A window can't be: it has at least 500 pixels.
    pub(crate) async fn narrow(width: u32) -> Self {
        let screen = serde_json::json!({"width": width, "height": 740, "pixelRatio": 2.0});
        let emulation = serde_json::json!({"deviceMetrics": screen});
        Self::with(|options| {
            let added = options.add_experimental_option("mobileEmulation", emulation);
            added.unwrap();
        })
        .await
    }

    async fn with(more: impl FnOnce(&mut ChromeCapabilities)) -> Self {
        let (dir, port, log) = (tempfile::tempdir().unwrap(), free_port(), Log::default());
        let mut command = guarded("chromedriver");
        command
            .arg(format!("--port={port}"))
            .env("HOME", dir.path())
            .env("TMPDIR", dir.path());
        let process = Process::spawn("chromedriver", &mut command, &log);
        let url = format!("http://{}", loopback(port));
        eventually("chromedriver is ready", PATIENCE, async || {
            super::http::get(loopback(port), "localhost", "/status", &[]).await
        })
        .await;
        let mut options = options(dir.path());
        more(&mut options);
        let driver = WebDriver::new(&url, options).await;
        Self {
            driver: Some(driver.unwrap_or_else(|error| panic!("{error}\n{log}"))),
            process,
            _dir: dir,
        }
    }

    pub(crate) async fn open(&self, url: &str) {
        self.driver().goto(url).await.unwrap();
    }

    /// The value of a JavaScript expression in the page.
    pub(crate) async fn value(&self, expression: &str) -> Value {
        let script = format!("return {expression}");
        let returned = self.driver().execute(script, vec![]).await;
        returned
            .unwrap_or_else(|error| panic!("{expression}: {error}"))
            .json()
            .clone()
    }

    /// What the page shows of the element: nothing if that is hidden.
    pub(crate) async fn text(&self, id: &str) -> String {
        let element = self.driver().find(thirtyfour::By::Id(id)).await;
        let element = element.unwrap_or_else(|error| panic!("#{id}: {error}"));
        element
            .text()
            .await
            .unwrap_or_else(|error| panic!("#{id}: {error}"))
    }

    /// Waits until the page shows this text in the element.
    pub(crate) async fn shows(&self, id: &str, text: &str) {
        let what = format!("#{id} shows `{text}`");
        eventually(&what, PATIENCE, async || {
            let shown = self.text(id).await;
            if shown.contains(text) {
                Ok(())
            } else {
                Err(format!("`{shown}`"))
            }
        })
        .await;
    }

    /// Waits until the element can be seen, and has text.
    pub(crate) async fn appears(&self, id: &str) {
        let what = format!("#{id} appears");
        eventually(&what, PATIENCE, async || {
            let shown = !self.text(id).await.is_empty();
            if shown { Ok(()) } else { Err("hidden") }
        })
        .await;
    }

    /// Waits until the element can't be seen.
    pub(crate) async fn disappears(&self, id: &str) {
        let what = format!("#{id} disappears");
        eventually(&what, PATIENCE, async || {
            let shown = self.text(id).await;
            if shown.is_empty() { Ok(()) } else { Err(shown) }
        })
        .await;
    }

    fn driver(&self) -> &WebDriver {
        self.driver.as_ref().expect("there until it is dropped")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Dropped, it would ask the browser to quit, and wait for that. It is killed instead.
        if let Some(driver) = self.driver.take() {
            let _ = driver.leak();
        }
        self.process.kill();
    }
}

fn options(dir: &Path) -> ChromeCapabilities {
    let mut options = DesiredCapabilities::chrome();
    options.set_binary(&browser(dir)).unwrap();
    let mut args = vec![
        "--headless=new".to_owned(),
        "--window-size=1280,900".to_owned(),
        format!("--user-data-dir={}", dir.join("profile").display()),
        // Containers have little of it.
        "--disable-dev-shm-usage".to_owned(),
        "--disable-gpu".to_owned(),
        // It asks nobody outside.
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1".to_owned(),
    ];
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        args.push("--no-sandbox".to_owned());
    }
    for arg in args {
        options.add_arg(&arg).unwrap();
    }
    options
}

/// A program that becomes the browser, and is killed when chromedriver ends.
fn browser(dir: &Path) -> String {
    let path = dir.join("browser");
    let script = "#!/bin/sh
for browser in chromium google-chrome; do
  if command -v $browser >/dev/null; then exec setpriv --pdeathsig KILL $browser \"$@\"; fi
done
echo 'no browser here: run scripts/install-tools --tests' >&2
exit 1
";
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}
