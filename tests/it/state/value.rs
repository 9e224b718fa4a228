//! The value of the key, as an operator sets it.

use super::*;

#[tokio::test]
async fn a_key_that_was_never_set_gives_the_first_color() {
    let redis = Redis::start().await;
    let provider = provider(&redis).await;
    assert_eq!(serves_now(&provider).await, "blue");
    let deals = provider.status().await["stacks"]["deals"].clone();
    assert_eq!(deals["source"], "default");
    assert_eq!(deals["problem"], Value::Null);
    // Serving does not set it: that is the operator's.
    reads(&redis, 1).await;
    assert_eq!(redis.cli(&["EXISTS", "active"]).await, "0");
    assert_eq!(provider.log().count("WARN"), 0);
}

#[tokio::test]
async fn a_plain_set_moves_all_services() {
    let redis = Redis::start().await;
    let provider = provider(&redis).await;
    for (value, traffic) in [
        ("green", "green"),
        ("blue", "blue"),
        (" green\n", "green"),
        ("\tblue\r\n", "blue"),
        // The weights are served in the order of the config's colors.
        ("green:10,blue:90", "blue:90,green:10"),
        ("green:7", "green"),
        ("blue:1,green:0\n", "blue"),
    ] {
        redis.cli(&["SET", "active", value]).await;
        serves(&provider, traffic).await;
    }
    assert_eq!(
        metric(&provider, "bluegreen_traffic_changes_total").await,
        7
    );
    let deals = provider.status().await["stacks"]["deals"].clone();
    assert_eq!(deals["source"], "store");
    assert_eq!(deals["by"], "outside");
    assert_eq!(provider.log().count("WARN"), 0);
}

#[tokio::test]
async fn the_case_of_a_color_counts() {
    let redis = Redis::start().await;
    let provider = provider(&redis).await;
    redis.cli(&["SET", "active", "GREEN"]).await;
    has_problem(&provider, "`GREEN` is not a color").await;
    assert_eq!(serves_now(&provider).await, "blue");
}

#[tokio::test]
async fn an_equal_value_changes_nothing() {
    let redis = Redis::start().await;
    redis.cli(&["SET", "active", "green"]).await;
    let provider = provider(&redis).await;
    let before = provider.get("/traefik").await;
    for value in ["green", "green:5", " green ", "blue:0,green:1"] {
        // The push makes it be read at once; a read that is counted too late is followed by the next second's.
        let set = ["SET", "active", value];
        tokio::join!(reads(&redis, 1), redis.cli(&set));
    }
    let after = provider.get("/traefik").await;
    assert_eq!(after.body, before.body);
    assert_eq!(
        metric(&provider, "bluegreen_traffic_changes_total").await,
        0
    );
    assert_eq!(redis.cli(&["XLEN", "{active}:history"]).await, "0");
}

#[tokio::test]
async fn a_flip_of_one_stack_leaves_the_other_where_it_is() {
    let redis = Redis::start().await;
    let config = config_of(&[("deals", "active"), ("shop", "shop:color")]);
    let provider = Options::new(&config, &redis.url()).start().await;
    let run = |args: &'static [&'static str]| crate::support::cli::Cli::new(args).of(&provider);

    redis.cli(&["SET", "shop:color", "green"]).await;
    stack_serves(&provider, "shop", "green").await;
    stack_serves(&provider, "deals", "blue").await;

    run(&[
        "flip",
        "green",
        "--stack",
        "deals",
        "--no-verify",
        "--no-wait",
    ])
    .any_stdout()
    .any_stderr()
    .run()
    .await;
    stack_serves(&provider, "deals", "green").await;
    run(&[
        "flip",
        "blue",
        "--stack",
        "shop",
        "--no-verify",
        "--no-wait",
    ])
    .any_stdout()
    .any_stderr()
    .run()
    .await;
    stack_serves(&provider, "shop", "blue").await;
    stack_serves(&provider, "deals", "green").await;

    let unnamed = run(&["flip", "blue", "--no-verify", "--no-wait"])
        .code(2)
        .stderr("--stack");
    unnamed.run().await;
    assert_eq!(redis.cli(&["GET", "active"]).await, "green");
    assert_eq!(redis.cli(&["GET", "shop:color"]).await, "blue");
}
