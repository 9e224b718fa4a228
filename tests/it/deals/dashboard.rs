//! The dashboard in a real browser, through Traefik.

use hyper::Method;
use serde_json::json;

use crate::support::browser::Browser;
use crate::support::cli::Cli;
use crate::support::deals::Site;

/// As people open it. Browsers take every name below localhost for this machine.
fn address(site: &Site) -> String {
    format!("http://dashboard.localhost:{}/", site.traefik.web().port())
}

/// Whether the page was loaded again since this was set.
const LOADED_ONCE: &str = "window.loadedOnce";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_follows_deals_and_flips_without_being_loaded_again() {
    let site = Site::start().await;
    let browser = Browser::start().await;
    browser.open(&address(&site)).await;
    browser.value(&format!("{LOADED_ONCE} = true")).await;
    browser.shows("color", "blue").await;
    browser.shows("version", "1").await;
    browser.shows("awaiting-count", "0").await;
    assert_eq!(browser.text("problem").await, "");

    let id = site.submitted("<b>a dozen machines</b>").await;
    // A title is text, whatever is in it.
    browser.shows("awaiting", "<b>a dozen machines</b>").await;
    browser.shows("awaiting-count", "1").await;
    browser.shows("deals", "a dozen machines").await;

    let flip = Cli::new(&["flip", "green", "--no-verify"]).of(&site.provider);
    flip.stdout("green").run().await;
    browser.shows("color", "green").await;
    browser.shows("version", "2").await;

    let body = json!({"approver": "ann", "note": "fine"});
    let path = format!("/deals/{id}/approve");
    let approved = site.send("api", Method::POST, &path, &body).await;
    assert_eq!(approved.status, 200, "{approved:?}");
    browser.shows("awaiting-count", "0").await;
    browser.shows("deals", "approved").await;
    assert!(!browser.text("awaiting").await.contains("a dozen machines"));
    assert_eq!(browser.value(LOADED_ONCE).await, true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_says_that_its_api_is_away_and_recovers() {
    let mut site = Site::start().await;
    let id = site.submitted("a dozen machines").await;
    let browser = Browser::start().await;
    browser.open(&address(&site)).await;
    browser.value(&format!("{LOADED_ONCE} = true")).await;
    browser.shows("awaiting", "a dozen machines").await;
    let hidden = "getComputedStyle(document.getElementById('problem')).display == 'none'";
    assert_eq!(browser.value(hidden).await, true);

    site.blue.api.kill();
    browser.appears("problem").await;
    // What it knew still stands there.
    assert!(browser.text("awaiting").await.contains("a dozen machines"));

    site.blue.api.start().await;
    browser.disappears("problem").await;
    let path = format!("/deals/{id}/reject");
    let body = json!({"approver": "bob", "note": "too dear"});
    site.send("api", Method::POST, &path, &body).await;
    browser.shows("deals", "rejected").await;
    assert_eq!(browser.value(LOADED_ONCE).await, true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_phone_nothing_scrolls_sideways() {
    let site = Site::start().await;
    site.submitted(&"supercalifragilistic".repeat(10)).await;
    site.submitted(&"a dozen machines and ".repeat(9)).await;
    let browser = Browser::narrow(360).await;
    browser.open(&address(&site)).await;
    browser.shows("awaiting", "supercalifragilistic").await;
    assert_eq!(browser.value("window.innerWidth").await, 360);
    let width = browser.value("document.documentElement.scrollWidth").await;
    assert!(width.as_u64() <= Some(360), "{width}");
    // Nor does it hide what does not fit.
    let wide = "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > 361)\
                .map(e => e.outerHTML.slice(0, 200))";
    assert_eq!(browser.value(wide).await, json!([]));
}
