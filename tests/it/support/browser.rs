//! A real browser without a window: Chromium, driven by chromedriver in the few words of its protocol that this takes.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::eventually;
use super::http;
use super::port::{free_port, loopback};
use super::process::{Log, Process, guarded};

/// A browser takes its time on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The key of an element's id, as the WebDriver standard has it.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// One window with a profile of its own. Nothing that it loads comes from outside this machine.
pub(crate) struct Browser {
    process: Process,
    port: u16,
    /// `/session/ID`
    session: String,
    /// Last, because it is removed when nobody writes there any longer.
    dir: TempDir,
}

impl Browser {
    pub(crate) async fn start() -> Self {
        Self::with(json!({})).await
    }

    /// As on a phone whose screen is this wide. A window can't be: it has at least 500 pixels.
    pub(crate) async fn narrow(width: u32) -> Self {
        let screen = json!({"width": width, "height": 740, "pixelRatio": 2.0});
        Self::with(json!({"mobileEmulation": {"deviceMetrics": screen}})).await
    }

    async fn with(mut options: Value) -> Self {
        let (dir, port, log) = (tempfile::tempdir().unwrap(), free_port(), Log::default());
        let mut command = guarded("chromedriver");
        command
            .arg(format!("--port={port}"))
            .env("HOME", dir.path())
            .env("TMPDIR", dir.path());
        let process = Process::spawn("chromedriver", &mut command, &log);
        eventually("chromedriver is ready", PATIENCE, async || {
            http::get(loopback(port), "localhost", "/status", &[]).await
        })
        .await;
        let mut browser = Self {
            process,
            port,
            session: String::new(),
            dir,
        };
        options["binary"] = program(browser.dir.path()).into();
        options["args"] = arguments(browser.dir.path()).into();
        let wanted = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}});
        let session = browser.post("/session", &wanted).await.unwrap();
        let id = session["sessionId"].as_str().unwrap();
        browser.session = format!("/session/{id}");
        browser
    }

    pub(crate) async fn open(&self, url: &str) {
        self.post("/url", &json!({"url": url})).await.unwrap();
    }

    /// The value of a JavaScript expression in the page.
    pub(crate) async fn value(&self, expression: &str) -> Value {
        let script = json!({"script": format!("return {expression}"), "args": []});
        self.post("/execute/sync", &script).await.unwrap()
    }

    /// What the page shows of the element: nothing if that is hidden.
    pub(crate) async fn text(&self, id: &str) -> String {
        self.look(id)
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Waits until the page shows this text in the element.
    pub(crate) async fn shows(&self, id: &str, text: &str) {
        let what = format!("#{id} shows `{text}`");
        self.until(&what, id, |shown| shown.contains(text)).await;
    }

    /// Waits until the element can be seen, and has text.
    pub(crate) async fn appears(&self, id: &str) {
        let what = format!("#{id} appears");
        self.until(&what, id, |shown| !shown.is_empty()).await;
    }

    /// Waits until the element can't be seen.
    pub(crate) async fn disappears(&self, id: &str) {
        let what = format!("#{id} disappears");
        self.until(&what, id, str::is_empty).await;
    }

    async fn until(&self, what: &str, id: &str, is: impl Fn(&str) -> bool) {
        eventually(what, PATIENCE, async || {
            // Between the two looks that this takes the page may have replaced the element.
            let shown = self.look(id).await?;
            if is(&shown) {
                Ok(())
            } else {
                Err(format!("`{shown}`"))
            }
        })
        .await;
    }

    async fn look(&self, id: &str) -> Result<String, String> {
        let by = json!({"using": "css selector", "value": format!("#{id}")});
        let element = self.post("/element", &by).await?;
        let path = format!("/element/{}/text", element[ELEMENT].as_str().unwrap());
        let text = self.send(Method::GET, &path, &Value::Null).await?;
        Ok(text.as_str().unwrap().to_owned())
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        self.send(Method::POST, path, body).await
    }

    /// One command of the session.
    async fn send(&self, method: Method, path: &str, body: &Value) -> Result<Value, String> {
        let path = format!("{}{path}", self.session);
        let answer = http::send(loopback(self.port), method, "localhost", &path, body).await?;
        let value = answer.json()["value"].take();
        if answer.status == 200 {
            Ok(value)
        } else {
            Err(format!("{path}: {}", value["message"]))
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.process.kill();
    }
}

fn arguments(dir: &Path) -> Vec<String> {
    let mut arguments = vec![
        "--headless=new".to_owned(),
        "--window-size=1280,900".to_owned(),
        format!("--user-data-dir={}", dir.join("profile").display()),
        // Containers have little of it.
        "--disable-dev-shm-usage".to_owned(),
        "--disable-gpu".to_owned(),
        // It asks nobody outside.
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost".to_owned(),
    ];
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        arguments.push("--no-sandbox".to_owned());
    }
    arguments
}

/// A program that becomes the browser, and is killed when chromedriver ends.
fn program(dir: &Path) -> String {
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
