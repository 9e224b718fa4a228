//! The program without the settings that it needs, and with wrong ones: it says what is wrong, and does not begin.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Nothing of this needs more than a moment; a program that still runs has taken what it should have refused.
const PATIENCE: Duration = Duration::from_secs(10);

const DATABASE: (&str, &str) = ("DATABASE_URL", "postgres://deals@127.0.0.1:1/deals");

/// What it says and how it ends, with these settings and no others.
fn run(arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deals"));
    command.env_clear().args(arguments);
    command.envs(settings.iter().copied());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("cargo has built it");
    let begun = Instant::now();
    while child.try_wait().expect("it is a child").is_none() {
        if begun.elapsed() > PATIENCE {
            child.kill().expect("it runs");
            let output = child.wait_with_output().expect("it was killed");
            panic!("{arguments:?} {settings:?} does not end: {output:?}");
        }
        sleep(Duration::from_millis(5));
    }
    child.wait_with_output().expect("it has ended")
}

/// Expects this exit code, no panic, nothing on stdout, and all of these words on stderr. Returns stderr.
fn fails(code: i32, arguments: &[&str], settings: &[(&str, &str)], words: &[&str]) -> String {
    let output = run(arguments, settings);
    let error = String::from_utf8(output.stderr).expect("it is text");
    let case = format!("{arguments:?} {settings:?}: {error}");
    assert_eq!(output.status.code(), Some(code), "{case}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{case}");
    assert!(error.starts_with("error: "), "{case}");
    assert!(!error.contains("panicked"), "{case}");
    for word in words {
        assert!(error.contains(word), "`{word}` in {case}");
    }
    error
}

#[test]
fn what_is_required_is_named() {
    fails(2, &["api"], &[], &["--color", "--database-url"]);
    fails(2, &["api"], &[DATABASE], &["--color"]);
    fails(2, &["api"], &[("COLOR", "blue")], &["--database-url"]);
    fails(2, &["mcp"], &[], &["--color"]);
    fails(2, &["dashboard"], &[], &["--color"]);
    fails(2, &["healthcheck"], &[], &["--listen"]);
    fails(2, &["bank"], &[], &["bank"]);
}

#[test]
fn what_is_set_to_nothing_counts_as_not_set() {
    let empty = [("COLOR", ""), ("DATABASE_URL", "")];
    fails(2, &["api"], &empty, &["--color", "--database-url"]);
    // The defaults are as good as ever: it gets as far as to listen.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    let taken = listener.local_addr().expect("it listens").to_string();
    let settings = [
        ("COLOR", "blue"),
        ("LISTEN", taken.as_str()),
        ("VERSION", ""),
        ("API_URL", ""),
        ("PUBLIC_HOSTS", ""),
    ];
    fails(1, &["mcp"], &settings, &["can't be listened on"]);
}

#[test]
fn wrong_values_are_named() {
    let blue = ("COLOR", "blue");
    for service in ["mcp", "dashboard"] {
        for address in ["hello", "127.0.0.1", "localhost:80", "127.0.0.1:65536"] {
            let settings = [blue, ("LISTEN", address)];
            fails(2, &[service], &settings, &[address, "--listen"]);
        }
        for url in ["hello", "https://api", "mailto:api", "127.0.0.1:8091"] {
            let settings = [blue, ("API_URL", url)];
            fails(2, &[service], &settings, &[url, "--api-url"]);
        }
        for color in ["light blue", "blau/grün", "blue\n"] {
            fails(2, &[service], &[("COLOR", color)], &["--color"]);
        }
        fails(2, &[service], &[blue, ("VERSION", "1\n2")], &["--version"]);
    }
}

#[test]
fn a_wrong_database_is_told_without_its_password() {
    for address in [
        "hello",
        "postgres://",
        "postgres://deals:s3cret@:99999/deals",
        "mysql://deals:s3cret@127.0.0.1/deals",
    ] {
        let settings = [("COLOR", "blue"), ("DATABASE_URL", address)];
        let error = fails(2, &["api"], &settings, &["the database's address"]);
        assert!(!error.contains("s3cret"), "{error}");
    }
}

#[test]
fn a_taken_port_is_not_shared() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    let taken = listener.local_addr().expect("it listens").to_string();
    let settings = [("COLOR", "blue"), ("LISTEN", taken.as_str()), DATABASE];
    for service in ["api", "mcp", "dashboard"] {
        fails(1, &[service], &settings, &[&taken, "can't be listened on"]);
    }
}

#[test]
fn a_service_that_is_not_there_is_not_healthy() {
    // A port that nobody has: it was free a moment ago.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    let free = listener.local_addr().expect("it listens").to_string();
    drop(listener);
    fails(
        1,
        &["healthcheck"],
        &[("LISTEN", &free)],
        &[&free, "refused"],
    );
}
