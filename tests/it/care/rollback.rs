//! `rollback`: back at once, without any check.

use std::time::Instant;

use super::site::Site;
use crate::support::stack::HOSTS;

/// Neither the color that is left nor the one that is gone back to is asked for anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_green_on_fire_it_goes_back_without_any_check() {
    let mut site = Site::start().await;
    site.add_check("items", "color, production", "/items");
    site.flip(&[]).stdout("blue → green").run().await;
    let load = site.load().await;
    for service in &mut site.services {
        service.stop("green").await;
        // What a check would look at is of no interest.
        service.set_healthy("blue", false);
        service.set_status("blue", "/items", 500);
    }
    let back = site.command(&["rollback", "--why", "green is on fire"]);
    let said = back.stdout("deals: green → blue, applied by 1 instance");
    let said = said.run().await;
    let returned = Instant::now();
    assert!(!said.stderr.contains("verif"), "{said:?}");
    assert_eq!(site.key().await, "blue");
    let newest = site.history().await[0].clone();
    assert_eq!(
        (&newest["to"], &newest["why"]),
        (&"blue".into(), &"green is on fire".into())
    );
    load.goes_on(returned, 2 * HOSTS.len()).await;
    let report = load.stop().await;
    report.assert_all(returned, "blue");
    let late = report.failures().iter().any(|one| one.start > returned);
    assert!(!late, "{:?}", report.failures().last());
    site.is_free().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_production_unreachable_it_goes_back_all_the_same() {
    let site = Site::start().await;
    site.flip(&[]).stdout("blue → green").run().await;
    let web = format!("http://{}", site.traefik.web());
    let nobody = format!("http://127.0.0.1:{}", crate::support::port::free_port());
    site.reconfigure(&web, &nobody);
    let back = site.command(&["rollback"]).stdout("green → blue");
    back.run().await;
    site.traefik.wait_for(HOSTS[0], "blue").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twice_in_a_row_it_is_back_where_it_was() {
    let site = Site::start().await;
    let load = site.load().await;
    site.flip(&[]).stdout("blue → green").run().await;
    for (change, color) in [("green → blue", "blue"), ("blue → green", "green")] {
        let back = site.command(&["rollback"]).stdout(change);
        back.run().await;
        let returned = Instant::now();
        assert_eq!(site.key().await, color);
        load.goes_on(returned, HOSTS.len()).await;
        load.report().assert_all(returned, color);
    }
    assert_eq!(site.moves().await, ["green", "blue", "green"]);
    load.stop().await.assert_no_failures();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_an_empty_history_it_says_so_and_changes_nothing() {
    let site = Site::start().await;
    let load = site.load().await;
    let back = site.command(&["rollback"]).code(1);
    let back = back.stderr("the history is empty: there is nothing to go back to");
    back.stderr("nothing was changed").run().await;
    site.is_untouched(load).await;
}

/// As after `deploy --stop-old`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_a_color_of_which_nobody_is_there_it_refuses() {
    let mut site = Site::start().await;
    site.flip(&[]).stdout("blue → green").run().await;
    for service in &mut site.services {
        service.stop("blue").await;
    }
    let load = site.load().await;
    for flags in [&["rollback"][..], &["rollback", "--dry-run"]] {
        site.command(flags)
            .code(3)
            .stderr("refused: nobody is there to take the traffic: no server of api in blue takes a connection (http://")
            .stderr("Connection refused")
            .stderr("nothing was changed")
            .stderr("--no-verify")
            .run()
            .await;
    }
    assert_eq!(site.key().await, "green");
    let now = Instant::now();
    load.goes_on(now, HOSTS.len()).await;
    let report = load.stop().await;
    report.assert_all(now, "green");
    report.assert_no_failures();

    // What both colors share is nobody of blue's.
    let [green, blue] = ["green", "blue"].map(|color| site.services[1].url(color));
    site.reconfigure(&blue, &green);
    let refused = site.command(&["rollback"]).code(3);
    refused.stderr("in blue takes a connection").run().await;
    site.reconfigure(&green, &blue);

    // One of them is somebody, however unwell; what is missing is told.
    site.services[1].restart("blue").await;
    site.services[1].set_healthy("blue", false);
    let back = site.command(&["rollback"]).stdout("green → blue");
    back.stderr("note: from here, no server of api in blue takes a connection")
        .run()
        .await;
    site.flip(&["--no-verify"])
        .stdout("blue → green")
        .run()
        .await;
    site.services[1].stop("blue").await;
    let back = site.command(&["rollback", "--no-verify"]);
    back.stdout("green → blue").run().await;
}

/// All is down, or this host reaches no server: going back makes it no worse.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_is_there_now_either_it_goes_back() {
    let site = Site::start().await;
    site.flip(&[]).stdout("blue → green").run().await;
    let elsewhere = |color: &str| {
        for service in &site.services {
            site.reconfigure(&service.url(color), "http://elsewhere.invalid:80");
        }
    };
    elsewhere("blue");
    let back = site.command(&["rollback", "--dry-run"]).code(3);
    back.stderr("in blue takes a connection (http://elsewhere.invalid")
        .run()
        .await;
    elsewhere("green");
    let back = site.command(&["rollback", "--dry-run"]).any_stdout();
    back.stderr("note: from here, no server of api in blue takes a connection")
        .run()
        .await;
}

/// Whoever reacts in the same second as the flip itself must not put the broken color into production.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_flip_that_went_back_by_itself_it_changes_nothing() {
    let site = Site::start().await;
    site.services[1].set_status_in_public("green", 500);
    site.flip(&[]).code(4).run().await;
    let back = site.command(&["rollback"]).code(1);
    back.stderr("blue has the traffic again already: a flip to green went back: production fails")
        .stderr("`bluegreen flip green --no-verify`")
        .run()
        .await;
    assert_eq!(site.key().await, "blue");
    // Any later change is one to go back from.
    site.flip(&["--no-verify"])
        .stdout("blue → green")
        .run()
        .await;
    let back = site.command(&["rollback"]).stdout("green → blue");
    back.run().await;
}
