//! What `check` takes for a rule is what the real Traefik makes a router of.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::traefik::{Options, Traefik};
use bluegreen::traefik::rule;

/// Taken by both, or refused by both.
const RULES: &str = r#"
Host(`a`)
Host(`a`, `b`)
Host()
Host(`a`,)
Host(`a`, )
host(`a`)
HOST(`a`)
hOST(`a`)
Hostregexp(`a`)
CLIENTIP(`::1`)
Host(`é`)
Host(``)
Host(`*.a`)
HostRegexp(`a`, `b`)
HostRegexp(`^[a-z]+\.x$`)
HostRegexp(`a{2,3}`)
HostRegexp(`é`)
HostRegexp(``)
Path(`a`)
Path(`/é`)
Path(`/a`, `/b`)
PathPrefix(`/a`, `/b`)
PathPrefix(`a`)
PathPrefix(``)
PathRegexp(`^/\d+$`)
PathRegexp("^/\\d+$")
Headers(`X`, `y`)
Header(`X`, `y`)
Header(`X`)
Header(`X`, ``)
Header(``, `y`)
Header(`X`,`y`,`z`)
HeadersRegexp(`X`, `y`)
HeaderRegexp(`X`, `y`)
Query(`a`)
Query(``)
Query(`a`,`b`)
Query(`a`,``)
Query(`a`,`b`,`c`)
QueryRegexp(`a`)
QueryRegexp(`a`,`b`)
Method(`GET`)
Method(`get`)
Method(``)
Method(`GET`, `POST`)
ClientIP(`10.0.0.0/8`)
ClientIP(`10.0.0.0/8`, `1.1.1.1`)
ClientIP(`::1`)
ClientIP(`fe80::/10`)
ClientIP(`x`)
ClientIP(`10.0.0.0/33`)
ClientIP(`010.0.0.1`)
ClientIP(`10.0.0.1/`)
HostHeader(`a`)
HostSNI(`a`)
Nope(`a`)
host_x(`a`)
Host('a')
Host("a")
Host("a\"")
Host("\.")
Host("\'")
Host(a)
Host(1)
Host(`a` + `b`)
Host((`a`))
Host(`a` `b`)
Host(Host(`a`))
a.Host(`a`)
Host(`a`)(`b`)
Host (`a`)
Host( `a` )
Host(/* x */`a`)
Host(`a`) /* x */ && Host(`b`)
Host(`a`) // x
Host // x
Host
true
"a"
()
Host(`a`);
Host(`a`) Host(`b`)
Host(`a`) and Path(`/`)
Host(`a`) & Path(`/`)
Host(`a`) == Host(`b`)
Host(`a`) &&
&& Host(`a`)
Host(`a`) &&  || Host(`b`)
Host(`a`) && !Path(`/`)
!Host(`a`)
!!Host(`a`)
!(Host(`a`) || Host(`b`)) && PathPrefix(`/`)
((Host(`a`)))
PathPrefix(`/a`) || Host(`a`) && Host(`b`)
Host(`a`)¶&& Path(`/`)
Host(`a`)¶|| Path(`/`)
Host(`a`) &&¶Path(`/`)
Host(`a`)¶
¶Host(`a`)
Host(¶`a`¶)
Host(`a`,¶)
Host¶(`a`)
(Host(`a`)¶)
(¶Host(`a`))
!¶Host(`a`)
Host(`a¶b`)
Host("a¶b")
Host(`a`)	&& Path(`/`)
"#;

/// Of Traefik 2: Traefik 3 takes them, and they match nobody.
const OLD: &str = r#"
HostRegexp(`{sub:[a-z]+}.x`)
HostRegexp(`{host:.+}`)
HostRegexp(`{sub}.x`)
Host(`{sub:[a-z]+}.x`)
Path(`/{id:[0-9]+}`)
PathPrefix(`/{x}`)
Query(`a=b`)
"#;

fn rules(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.is_empty());
    lines.map(|line| line.replace('¶', "\n")).collect()
}

/// Which of these rules Traefik makes a router of, and why not of the others.
async fn routed(rules: &[String], fields: Value) -> Vec<Result<(), String>> {
    let name = |at: usize| format!("rule-{at:04}");
    let router = |rule: &String| {
        let mut router = fields.clone();
        router["rule"] = json!(rule);
        router["service"] = json!("noop@internal");
        router
    };
    let routers: BTreeMap<_, _> = rules
        .iter()
        .enumerate()
        .map(|(at, rule)| (name(at), router(rule)))
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let document = json!({ "http": { "routers": routers } });
    std::fs::write(dir.path().join("rules.yml"), document.to_string()).unwrap();
    let traefik: Traefik = Options::file(dir.path()).start().await;
    let last = format!("{}@file", name(rules.len() - 1));
    let read = eventually(
        "Traefik has the rules",
        std::time::Duration::from_secs(30),
        async || {
            let routers = traefik.routers().await;
            if routers.contains_key(&last) {
                Ok(routers)
            } else {
                Err(format!("{:?}", routers.keys()))
            }
        },
    )
    .await;
    let standing = |at| {
        let router = &read[&format!("{}@file", name(at))];
        if router["status"] == "enabled" {
            Ok(())
        } else {
            Err(router["error"].to_string())
        }
    };
    (0..rules.len()).map(standing).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_is_taken_where_traefik_makes_a_router_of_it() {
    let both = rules(RULES);
    let mut differences = Vec::new();
    for (rule, routed) in both.iter().zip(routed(&both, json!({})).await) {
        let ours = rule::check(rule);
        if ours.is_ok() != routed.is_ok() {
            differences.push(format!("{rule}: we {ours:?}, Traefik {routed:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));

    let old = rules(OLD);
    for (rule, routed) in old.iter().zip(routed(&old, json!({})).await) {
        assert_eq!(routed, Ok(()), "{rule}");
        assert!(rule::check(rule).is_err(), "{rule}");
    }
}

/// What the hint proposes is taken, and a router that says so keeps its old rule.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_of_traefik_2_has_a_form_that_traefik_3_takes() {
    let all = [rules(RULES), rules(OLD)].concat();
    let translated: Vec<_> = all
        .iter()
        .filter_map(|rule| Some((rule, rule::v2::translated(rule)?)))
        .collect();
    assert!(translated.len() > 12, "{translated:?}");
    let good: Vec<_> = translated
        .iter()
        .filter(|(_, new)| rule::check(new).is_ok())
        .map(|(old, new)| ((*old).clone(), new.clone()))
        .collect();
    assert_eq!(good.len(), translated.len(), "{translated:?}");
    let (old, new): (Vec<_>, Vec<_>) = good.into_iter().unzip();
    for (rule, routed) in new.iter().zip(routed(&new, json!({})).await) {
        assert_eq!(routed, Ok(()), "{rule}");
    }
    for (rule, routed) in old
        .iter()
        .zip(routed(&old, json!({ "ruleSyntax": "v2" })).await)
    {
        assert_eq!(routed, Ok(()), "{rule}");
    }
}
