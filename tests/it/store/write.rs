//! Writing the key, the record of its rollout and the lease in one step, in Redis and in a folder alike.

use std::sync::Arc;

use bluegreen::lease::Lease;
use bluegreen::store::write::{Holder, LONGEST, Write, Written};
use bluegreen::store::{Kept, Reading, Session, StoreError};
use tokio::sync::Barrier;

use super::answers::{entry, lease, session};
use super::*;
use crate::support::redis::Redis;

/// What is read of a key by another than who writes.
#[derive(Debug, PartialEq)]
struct All {
    reading: Reading,
    changes: usize,
    record: Option<Vec<u8>>,
    lease: Option<Lease>,
}

async fn all(session: &mut Session, key: &str) -> All {
    let kept = kept(session, key).await;
    All {
        reading: session.read_one(key).await.unwrap().reading,
        changes: session.history(key, 9).await.unwrap().len(),
        record: kept.record,
        lease: kept.lease,
    }
}

async fn kept(session: &mut Session, key: &str) -> Kept {
    session.rollout_of(key).await.unwrap().unwrap()
}

fn holds(value: &str, url: &str) -> Reading {
    let end = if url.starts_with("file:") { "\n" } else { "" };
    Reading::Value(format!("{value}{end}").into())
}

/// Has the same shown of both.
async fn in_each_store(check: impl AsyncFn(&str)) {
    let (redis, folder) = (Redis::start().await, Folder::new());
    let (redis, folder) = (redis.url(), folder.url());
    tokio::join!(check(&redis), check(&folder));
}

/// Whose the lease is and for whom it is asked, what the record is and what it is expected to be, and the same of the
/// key: every case of each with every case of the others. The first check that fails is told, and nothing is written.
#[tokio::test]
async fn all_is_written_or_nothing() {
    in_each_store(async |url| {
        let (mut writer, mut reader) = (session(url).await, session(url).await);
        let (own, other) = (lease("ours"), lease("theirs"));
        let held = Holder::Held(own.clone());
        let seized = Holder::Seized(own.clone());
        let record = |text: &str| Some(text.as_bytes().to_vec());
        let leases = [
            (None, Holder::Anybody),
            (Some(&other), Holder::Anybody),
            (None, held.clone()),
            (Some(&own), held.clone()),
            (Some(&other), held),
            (None, seized.clone()),
            (Some(&other), seized),
        ];
        let records = [
            (None, None),
            (record("old"), None),
            (None, Some((None, record("new").unwrap()))),
            (None, Some((record("old"), record("new").unwrap()))),
            (record("old"), Some((None, record("new").unwrap()))),
            (record("old"), Some((record("old"), record("new").unwrap()))),
            (record("old"), Some((record("old"), record("old").unwrap()))),
            (record("old"), Some((record("odd"), record("new").unwrap()))),
        ];
        let blue = holds("blue", url);
        let changes = [
            None,
            Some((blue.clone(), entry("green"))),
            Some((Reading::Missing, entry("green"))),
        ];
        let mut number = 0;
        for (holds_it, holder) in &leases {
            for (is, record) in &records {
                for change in &changes {
                    for release in [false, true] {
                        number += 1;
                        let key = format!("key-{number}");
                        let first = Write {
                            lease: holds_it.map_or(Holder::Anybody, |it| Holder::Held(it.clone())),
                            record: is.clone().map(|is| (None, is)),
                            change: Some((Reading::Missing, entry("blue"))),
                            release: false,
                        };
                        assert_eq!(writer.write(&key, &first).await.unwrap(), Written::Done);
                        let before = All {
                            reading: blue.clone(),
                            changes: 1,
                            record: is.clone(),
                            lease: holds_it.cloned(),
                        };
                        assert_eq!(all(&mut reader, &key).await, before);

                        let write = Write {
                            lease: holder.clone(),
                            record: record.clone(),
                            change: change.clone(),
                            release,
                        };
                        let theirs = *holds_it == Some(&other) && matches!(holder, Holder::Held(_));
                        let stale = record.as_ref().is_some_and(|(old, _)| old != is);
                        let moved = change
                            .as_ref()
                            .is_some_and(|(expected, _)| *expected != blue);
                        let expected = match (theirs, stale, moved) {
                            (true, _, _) => Written::Held(other.clone()),
                            (_, true, _) => Written::Stale(is.clone()),
                            (_, _, true) => Written::Conflict(blue.clone()),
                            _ => Written::Done,
                        };
                        let after = match expected {
                            Written::Done => All {
                                reading: match change {
                                    Some(_) => holds("green", url),
                                    None => blue.clone(),
                                },
                                changes: 1 + usize::from(change.is_some()),
                                record: record.clone().map(|(_, new)| new).or(is.clone()),
                                lease: match (holder, release) {
                                    (Holder::Anybody, _) => holds_it.cloned(),
                                    (_, true) => None,
                                    (_, false) => Some(own.clone()),
                                },
                            },
                            _ => before,
                        };
                        let context = format!("{url} {write:?}");
                        assert_eq!(
                            writer.write(&key, &write).await.unwrap(),
                            expected,
                            "{context}"
                        );
                        // One that is given back in Redis takes a millisecond to go.
                        if holds_it.is_some() && release && expected == Written::Done {
                            gone(&mut reader, &key, after.lease.as_ref()).await;
                        }
                        assert_eq!(all(&mut reader, &key).await, after, "{context}");
                    }
                }
            }
        }
    })
    .await;
}

/// Waits until this is the lease.
async fn gone(reader: &mut Session, key: &str, expected: Option<&Lease>) {
    while kept(reader, key).await.lease.as_ref() != expected {
        reader.changed().await.unwrap();
    }
}

/// As on a laptop that was closed: the lease has run out by itself, and somebody else has carried the rollout on.
#[tokio::test]
async fn who_slept_longer_than_the_lease_can_write_nothing_any_more() {
    in_each_store(async |url| {
        let (mut sleeper, mut adopter) = (session(url).await, session(url).await);
        let (one, two) = (lease("sleeps"), lease("adopts"));
        let first = Write {
            lease: Holder::Held(one.clone()),
            record: Some((None, b"1".to_vec())),
            change: Some((Reading::Missing, entry("green"))),
            release: false,
        };
        assert_eq!(
            sleeper.write("active", &first).await.unwrap(),
            Written::Done
        );
        let adopt = Write {
            lease: Holder::Held(two.clone()),
            record: Some((Some(b"1".to_vec()), b"2".to_vec())),
            ..Write::default()
        };
        let early = adopter.write("active", &adopt).await.unwrap();
        assert_eq!(early, Written::Held(one.clone()));
        eventually("the lease runs out", Duration::from_secs(10), async || {
            let mut reader = session(url).await;
            kept(&mut reader, "active").await.lease.map_or(Ok(()), Err)
        })
        .await;
        assert_eq!(
            adopter.write("active", &adopt).await.unwrap(),
            Written::Done
        );

        let renewal = Write {
            lease: Holder::Held(one.clone()),
            record: Some((Some(b"1".to_vec()), b"1".to_vec())),
            ..Write::default()
        };
        let next = Write {
            record: Some((Some(b"1".to_vec()), b"done".to_vec())),
            change: Some((holds("green", url), entry("blue"))),
            release: true,
            ..renewal.clone()
        };
        for write in [&renewal, &next] {
            let before = all(&mut adopter, "active").await;
            let late = sleeper.write("active", write).await.unwrap();
            assert_eq!(late, Written::Held(two.clone()));
            assert_eq!(all(&mut adopter, "active").await, before);
        }
        // Not even when the other one is done: the lease is free, but the record tells.
        let end = Write {
            lease: Holder::Held(two),
            record: Some((Some(b"2".to_vec()), b"3".to_vec())),
            release: true,
            ..Write::default()
        };
        assert_eq!(adopter.write("active", &end).await.unwrap(), Written::Done);
        gone(&mut adopter, "active", None).await;
        for write in [&renewal, &next] {
            let before = all(&mut adopter, "active").await;
            let late = sleeper.write("active", write).await.unwrap();
            assert_eq!(late, Written::Stale(Some(b"3".to_vec())));
            assert_eq!(all(&mut adopter, "active").await, before);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_adopt_at_once_exactly_one_does() {
    in_each_store(async |url| {
        for round in 0..10 {
            let key = format!("key-{round}");
            let begin = Write {
                record: Some((None, b"left".to_vec())),
                ..Write::default()
            };
            let begun = session(url).await.write(&key, &begin).await.unwrap();
            assert_eq!(begun, Written::Done);
            let start = Arc::new(Barrier::new(8));
            let adopters = (0..8).map(|number| {
                let (url, key, start) = (url.to_owned(), key.clone(), Arc::clone(&start));
                tokio::spawn(async move {
                    let mut session = session(&url).await;
                    let adopt = Write {
                        // One that gives it back at once leaves the lease free for the others.
                        release: round % 2 == 0,
                        lease: Holder::Held(lease(&format!("adopter {number}"))),
                        record: Some((Some(b"left".to_vec()), format!("{number}").into())),
                        ..Write::default()
                    };
                    start.wait().await;
                    (number, session.write(&key, &adopt).await.unwrap())
                })
            });
            let adopters: Vec<_> = adopters.collect();
            let mut winners = Vec::new();
            for adopter in adopters {
                match adopter.await.unwrap() {
                    (number, Written::Done) => winners.push(number.to_string().into_bytes()),
                    (_, Written::Held(_) | Written::Stale(Some(_))) => {}
                    (_, other) => panic!("{other:?}"),
                }
            }
            assert_eq!(winners.len(), 1, "{url}: {winners:?}");
            let record = kept(&mut session(url).await, &key).await.record;
            assert_eq!(record.as_ref(), winners.first());
        }
    })
    .await;
}

/// And of what is not written nobody is told: a renewal leaves the record as it is.
#[tokio::test]
async fn the_next_change_of_a_record_or_a_lease_is_told() {
    let redis = Redis::start().await;
    let url = redis.url();
    let (mut writer, mut watcher) = (session(&url).await, session(&url).await);
    let own = lease("flip green");
    let write = |old: Option<&[u8]>, new: &[u8], release| Write {
        lease: Holder::Held(own.clone()),
        record: Some((old.map(<[u8]>::to_vec), new.to_vec())),
        release,
        ..Write::default()
    };
    let (record, lease) = ("{active}:rollout", "{active}:lease");
    for (write, expected) in [
        (write(None, b"1", false), &[lease, record][..]),
        (write(Some(b"1"), b"1", false), &[lease]),
        (write(Some(b"1"), b"2", false), &[lease, record]),
        (write(Some(b"2"), b"2", true), &[lease]),
    ] {
        kept(&mut watcher, "active").await;
        assert_eq!(writer.write("active", &write).await.unwrap(), Written::Done);
        let mut told = std::collections::BTreeSet::new();
        while told.len() < expected.len() {
            let changed = tokio::time::timeout(SOON, watcher.changed()).await;
            let changed = changed.unwrap_or_else(|_| panic!("{write:?}: told {told:?}"));
            let changed = changed.unwrap();
            assert!(changed.concerns_rollout("active") && !changed.concerns_rollout("other"));
            assert!(!changed.concerns("active"), "the traffic is the same");
            if let bluegreen::store::Changed::Names(names) = changed {
                told.extend(names);
            }
        }
        let told: Vec<_> = told.iter().map(String::as_str).collect();
        assert_eq!(told, expected, "{write:?}");
    }

    let folder = Folder::new();
    let (mut writer, mut watcher) = (session(&folder.url()).await, session(&folder.url()).await);
    kept(&mut watcher, "active").await;
    writer
        .write("active", &write(None, b"1", false))
        .await
        .unwrap();
    let changed = tokio::time::timeout(SOON, watcher.changed()).await;
    assert!(changed.unwrap().unwrap().concerns_rollout("active"));
}

#[tokio::test]
async fn what_is_no_record_is_told_and_stands_in_nobodys_way() {
    let replace = Write {
        record: Some((None, b"1".to_vec())),
        ..Write::default()
    };
    let redis = Redis::start().await;
    let mut session_of_redis = session(&redis.url()).await;
    let longer = LONGEST.to_string();
    for command in [
        &["LPUSH", "{active}:rollout", "x"][..],
        &["SETRANGE", "{active}:rollout", &longer, "x"],
    ] {
        redis.cli(&["DEL", "{active}:rollout"]).await;
        redis.cli(command).await;
        replaces(&mut session_of_redis, &replace).await;
    }
    let folder = Folder::new();
    let mut session_of_folder = session(&folder.url()).await;
    let file = fs::File::create(folder.key("{active}:rollout")).unwrap();
    file.set_len(1 << 40).unwrap();
    replaces(&mut session_of_folder, &replace).await;

    // Nor is one written.
    for session in [&mut session_of_redis, &mut session_of_folder] {
        let longest = Write {
            record: Some((Some(b"1".to_vec()), vec![b'x'; LONGEST])),
            ..Write::default()
        };
        assert_eq!(
            session.write("active", &longest).await.unwrap(),
            Written::Done
        );
        let record = kept(session, "active").await.record.unwrap();
        assert_eq!(record.len(), LONGEST);
        let too_long = Write {
            record: Some((Some(record), vec![b'x'; LONGEST + 1])),
            ..Write::default()
        };
        let error = session.write("active", &too_long).await.unwrap_err();
        assert!(matches!(error, StoreError::Refused(_)), "{error:?}");
        assert!(error.to_string().contains("`{active}:rollout`"), "{error}");
    }
}

async fn replaces(session: &mut Session, replace: &Write) {
    let why = session.rollout_of("active").await.unwrap().unwrap_err();
    assert!(
        why.to_string()
            .starts_with("`{active}:rollout` is no record"),
        "{why}"
    );
    let replaced = session.write("active", replace).await.unwrap();
    assert_eq!(replaced, Written::Done);
    assert_eq!(kept(session, "active").await.record.unwrap(), b"1");
}

/// A full memory refuses all of it.
#[tokio::test]
async fn what_redis_refuses_leaves_neither_key_nor_record_nor_lease() {
    let redis = Redis::start().await;
    let mut session = session(&redis.url()).await;
    let write = Write {
        lease: Holder::Held(lease("flip green")),
        record: Some((None, b"1".to_vec())),
        change: Some((Reading::Missing, entry("green"))),
        release: false,
    };
    redis.cli(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let error = session.write("active", &write).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error:?}");
    assert_eq!(redis.cli(&["DBSIZE"]).await, "0");
    redis.cli(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert_eq!(
        session.write("active", &write).await.unwrap(),
        Written::Done
    );
}

/// It is done late, after all: the writer finds its own record when it asks again, and no other has come between.
#[tokio::test]
async fn a_write_that_was_not_answered_can_be_asked_for_again() {
    let redis = Redis::start().await;
    let url = redis.url();
    let write = Write {
        lease: Holder::Held(lease("flip green")),
        record: Some((None, b"1".to_vec())),
        change: Some((Reading::Missing, entry("green"))),
        release: false,
    };
    // Its command waits for as long as it does not hang up.
    let mut unanswered = session(&url).await;
    redis.cli(&["CLIENT", "PAUSE", "60000", "WRITE"]).await;
    let error = unanswered.write("active", &write).await.unwrap_err();
    assert!(matches!(error, StoreError::Unknown(_)), "{error:?}");
    redis.cli(&["CLIENT", "UNPAUSE"]).await;
    let mut session = session(&url).await;
    eventually("it is done", SOON, async || {
        kept(&mut session, "active").await.record.ok_or("no record")
    })
    .await;
    let again = session.write("active", &write).await.unwrap();
    assert_eq!(again, Written::Stale(Some(b"1".to_vec())));
}

/// As a writer that was killed does, when the disk gives out between the key and the record.
#[tokio::test]
async fn what_was_cut_off_in_a_folder_is_done_or_not_by_what_the_key_says() {
    let begin = Write {
        record: Some((None, b"1".to_vec())),
        change: Some((Reading::Missing, entry("green"))),
        ..Write::default()
    };
    let check = Write {
        record: Some((None, b"2".to_vec())),
        ..Write::default()
    };
    for (echoed, expected) in [
        (None, Written::Stale(Some(b"1".to_vec()))),
        // Somebody else's value is not that of the rollout.
        (Some("blue"), Written::Done),
    ] {
        let folder = Folder::new();
        let mut session = session(&folder.url()).await;
        let in_the_way = folder.key("{active}:rollout");
        fs::create_dir_all(in_the_way.join("full")).unwrap();
        let error = session.write("active", &begin).await.unwrap_err();
        assert!(matches!(error, StoreError::Unknown(_)), "{error:?}");
        let reading = session.read_one("active").await.unwrap().reading;
        assert_eq!(reading, holds("green", &folder.url()));
        if let Some(value) = echoed {
            folder.echo(value, "active");
        }
        fs::remove_dir_all(&in_the_way).unwrap();
        let next = session.write("active", &check).await.unwrap();
        assert_eq!(next, expected);
        assert!(!folder.key(".{active}:rollout").exists());
    }

    // Where the key can't be set nothing is.
    let folder = Folder::new();
    let mut session = session(&folder.url()).await;
    fs::create_dir_all(folder.key("active").join("full")).unwrap();
    let is = session.read_one("active").await.unwrap().reading;
    let begin = Write {
        change: Some((is, entry("green"))),
        ..begin
    };
    let error = session.write("active", &begin).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error:?}");
    assert_eq!(kept(&mut session, "active").await.record, None);
    assert!(!folder.key(".{active}:rollout").exists());
}

/// One that an older version has written has no token, and is nobody's of this one; what it is called counts for nothing.
#[tokio::test]
async fn the_holder_is_told_by_its_token_alone() {
    let redis = Redis::start().await;
    let mut session = session(&redis.url()).await;
    let own = lease("flip green");
    let mut json: Value = serde_json::to_value(&own).unwrap();
    let older = json.as_object_mut().unwrap();
    let token = older.remove("token").unwrap();
    older["by"] = format!("\"token\":{token}").into();
    redis
        .cli(&["SET", "{active}:lease", &json.to_string()])
        .await;
    let other = session.take_lease("active", &own).await.unwrap();
    assert_eq!(other.unwrap().what, "flip green");

    json["token"] = token;
    redis
        .cli(&["SET", "{active}:lease", &json.to_string()])
        .await;
    let renamed = session.take_lease("active", &own).await.unwrap();
    assert_eq!(renamed, None);
}

/// What the README's lines allow to the provider, the operator and the watcher is enough, and the watcher only looks.
#[tokio::test]
async fn the_rights_of_the_readme_are_enough_for_each_role() {
    let redis = Redis::start().await;
    let url_of = async |user: &str, password: &str| {
        let line = crate::readme::rights_of(user);
        let words: Vec<_> = line.iter().map(String::as_str).collect();
        assert_eq!(redis.cli(&words).await, "OK");
        let login = format!("redis://{user}:{password}@");
        redis.url().replace("redis://", &login)
    };
    let begin = Write {
        lease: Holder::Held(lease("flip green")),
        record: Some((None, b"1".to_vec())),
        change: Some((Reading::Missing, entry("green"))),
        release: false,
    };
    let adopt = Write {
        lease: Holder::Seized(lease("adopts")),
        record: Some((Some(b"1".to_vec()), b"2".to_vec())),
        change: Some((Reading::Value("green".into()), entry("blue"))),
        release: false,
    };
    for (user, password, write) in [
        ("operator", "SECRET2", &begin),
        ("bluegreen", "SECRET1", &adopt),
    ] {
        let mut session = session(&url_of(user, password).await).await;
        kept(&mut session, "active").await;
        assert_eq!(session.write("active", write).await.unwrap(), Written::Done);
        // It minds the lease of another.
        let held = Write {
            lease: Holder::Held(lease("third")),
            ..Write::default()
        };
        let third = session.write("active", &held).await.unwrap();
        assert!(matches!(third, Written::Held(_)), "{third:?}");
    }
    let mut watcher = session(&url_of("watcher", "SECRET3").await).await;
    let seen = kept(&mut watcher, "active").await;
    assert_eq!(
        (seen.record.unwrap(), seen.lease.unwrap().what),
        (b"2".to_vec(), "adopts".to_owned())
    );
    assert_eq!(redis.cli(&["ACL", "LOG"]).await, "", "a right was missing");
    let error = watcher.write("active", &adopt).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error:?}");
}
