//! The folder itself: who may read what is in it, and who keeps it locked.

use std::fs::{File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::time::Instant;

use bluegreen::store::{Outcome, Reading, StoreError};

use super::answers::{entry, lease, session};
use super::*;

/// Someone who is neither root nor anybody here.
const SERVICE: u32 = 4711;

#[tokio::test]
async fn a_stopped_lock_holder_holds_up_neither_what_is_served_nor_who_interrupts() {
    let folder = Folder::new();
    let mut provider = folder.provider().await;
    folder.echo("green", "active");
    serves(&provider, "green").await;
    // As a process does that was stopped while it wrote.
    let lock = File::create(folder.key(".lock")).unwrap();
    lock.lock().unwrap();

    folder.echo("blue", "active");
    serves(&provider, "blue").await;
    let flip = ["flip", "green", "--no-verify", "--no-wait"];
    let refused = Cli::new(&flip).of(&provider).code(6);
    let refused = refused.stderr(".lock locked").stderr("nothing was changed");
    refused.run().await;
    assert_eq!(fs::read_to_string(folder.key("active")).unwrap(), "blue\n");
    Cli::new(&["status"])
        .of(&provider)
        .stdout("blue")
        .run()
        .await;
    // Ctrl-C is heard meanwhile, by the provider too.
    let waiting = Cli::new(&flip).of(&provider).any_code().start();
    let interrupted = Instant::now();
    waiting.signal("INT");
    waiting.end().await;
    provider.terminate().await;
    let took = interrupted.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");

    drop(lock);
    let mut session = session(&folder.url()).await;
    let held = lease("a test");
    assert_eq!(session.take_lease("active", &held).await.unwrap(), None);
}

#[tokio::test(flavor = "current_thread")]
async fn the_runtime_goes_on_while_a_lock_is_waited_for() {
    let folder = Folder::new();
    let mut session = session(&folder.url()).await;
    let held = lease("a test");
    assert_eq!(session.take_lease("active", &held).await.unwrap(), None);
    let lock = File::open(folder.key(".lock")).unwrap();
    lock.lock().unwrap();
    let mut turns = 0;
    let other = async {
        loop {
            tokio::task::yield_now().await;
            turns += 1;
        }
    };
    let error = tokio::select! {
        error = session.take_lease("active", &held) => error.unwrap_err(),
        () = other => unreachable!("it goes on for ever"),
    };
    assert!(matches!(error, StoreError::Unreachable(_)), "{error:?}");
    assert!(turns > 1000, "{turns} turns");
    // Who comes when it is free again gets it.
    let (taken, ()) = tokio::join!(session.take_lease("active", &held), async {
        tokio::task::yield_now().await;
        drop(lock);
    });
    assert_eq!(taken.unwrap(), None);
}

#[tokio::test]
async fn what_root_leaves_behind_is_the_services() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        eprintln!("skipped: only root can make files that are somebody else's");
        return;
    }
    let folder = Folder::new();
    for (mode, expected) in [
        (0o755, 0o644),
        (0o700, 0o600),
        (0o2770, 0o660),
        (0o1777, 0o644),
    ] {
        let path = folder.path();
        fs::remove_dir_all(&path).ok();
        fs::create_dir(&path).unwrap();
        chown(&path, Some(SERVICE), Some(SERVICE + 1)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let mut session = session(&folder.url()).await;
        let held = lease("a test");
        session.take_lease("active", &held).await.unwrap();
        let green = entry("green");
        let set = session.set("active", &Reading::Missing, &green);
        assert_eq!(set.await.unwrap(), Outcome::Set);
        let names = [".lock", "active", "{active}:history", "{active}:lease"];
        for name in names {
            let metadata = fs::metadata(folder.key(name)).unwrap();
            let owner = (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777);
            assert_eq!(
                owner,
                (SERVICE, SERVICE + 1, expected),
                "{name} in {mode:o}"
            );
        }
    }
}

/// A history that can't be written holds up no change, and is never ahead of the key.
#[tokio::test]
async fn the_key_is_written_before_the_history() {
    let folder = Folder::new();
    let mut session = session(&folder.url()).await;
    // A folder in its place.
    fs::create_dir_all(folder.key("{active}:history")).unwrap();
    let green = entry("green");
    let set = session.set("active", &Reading::Missing, &green);
    assert_eq!(set.await.unwrap(), Outcome::Set);
    assert_eq!(fs::read_to_string(folder.key("active")).unwrap(), "green\n");

    // A key that can't be written leaves nothing in the history.
    fs::remove_dir(folder.key("{active}:history")).unwrap();
    fs::remove_file(folder.key("active")).unwrap();
    fs::create_dir_all(folder.key("active").join("full")).unwrap();
    let folder_there = Reading::WrongType(String::new());
    let error = session.set("active", &folder_there, &entry("blue")).await;
    assert!(matches!(error, Err(StoreError::Refused(_))), "{error:?}");
    assert_eq!(session.history("active", 9).await.unwrap(), []);
}

#[tokio::test]
async fn what_is_huge_or_never_ends_is_not_read() {
    let folder = Folder::new();
    let mut session = session(&folder.url()).await;
    let sparse = |name: &str| {
        let file = File::create(folder.key(name)).unwrap();
        file.set_len(1 << 40).unwrap();
    };
    sparse("active");
    sparse("{active}:history");
    sparse("{active}:lease");
    let state = session.read_one("active").await.unwrap();
    assert_eq!(state.reading, Reading::TooLong(1 << 40));
    let why = state.newest.unwrap_err().to_string();
    assert!(why.contains("no history is that large"), "{why}");
    let held = lease("a test");
    assert_eq!(session.take_lease("active", &held).await.unwrap(), None);

    fs::remove_file(folder.key("active")).unwrap();
    mkfifo_at(&folder.key("active"));
    let reading = session.read_one("active").await.unwrap().reading;
    assert!(matches!(&reading, Reading::WrongType(_)), "{reading:?}");
    let set = session.set("active", &reading, &entry("blue")).await;
    assert_eq!(set.unwrap(), Outcome::Set);
}

fn mkfifo_at(path: &std::path::Path) {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

/// Its end is far ahead: the clock was set back since, or somebody has written it.
#[tokio::test]
async fn a_lease_that_lasts_too_long_is_nobodys() {
    let folder = Folder::new();
    let mut session = session(&folder.url()).await;
    let (one, two) = (lease("one"), lease("two"));
    assert_eq!(session.take_lease("active", &one).await.unwrap(), None);
    assert_eq!(session.take_lease("active", &two).await.unwrap(), Some(one));
    let path = folder.key("{active}:lease");
    let mut lasting: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    lasting["until"] = (lasting["until"].as_u64().unwrap() + 3_600_000).into();
    fs::write(&path, lasting.to_string()).unwrap();
    assert_eq!(session.take_lease("active", &two).await.unwrap(), None);
}
