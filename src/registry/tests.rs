use proptest::prelude::*;

use super::*;

fn aged(provider: &str, runs: bool, instances: Vec<Instance>) -> Aged {
    let report = serde_json::json!({
        "provider": provider, "version": "1", "stopped": !runs, "traffic": "blue", "revision": "r", "problem": null,
        "marker": false
    });
    Aged {
        report: serde_json::from_value(report).unwrap(),
        age: Duration::ZERO,
        instances,
    }
}

/// As an older provider writes it.
fn instance(id: &str, address: &str, seen: f64) -> Instance {
    let instance = serde_json::json!({
        "id": id, "address": address, "revision": "r", "held": true, "confirmed": "r", "applied": null, "hold": 1.0,
        "holdCut": null, "cadence": 0.1, "seen": seen, "goneAfter": 100.0
    });
    serde_json::from_value(instance).unwrap()
}

fn any_report() -> impl Strategy<Value = Aged> {
    let any_instance = (0..3, 0..3, 0..4).prop_map(|(id, address, seen)| {
        // One whose id is its address has no name.
        let ids = ["10.0.0.0", "10.0.0.1", "edge"];
        let address = format!("10.0.0.{address}");
        instance(ids[id as usize], &address, f64::from(seen))
    });
    let instances = prop::collection::vec(any_instance, 0..4);
    (0..2, 0..4, any::<bool>(), instances).prop_map(|(host, start, runs, instances)| {
        aged(&format!("host-{host}:9000/{start}"), runs, instances)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// One whose provider has stopped is left out where it is seen at another since: by its name, or by its address at
    /// the same endpoint.
    #[test]
    fn who_has_moved_counts_once(reports in prop::collection::vec(any_report(), 0..6)) {
        let all: Vec<_> = reports
            .iter()
            .flat_map(|aged| aged.instances.iter().map(move |instance| (aged, instance)))
            .collect();
        let moved = |(aged, instance): (&Aged, &Instance)| {
            !aged.runs() && all.iter().any(|(other, elsewhere)| {
                let named = instance.id != instance.address;
                let same_endpoint = endpoint(&aged.report) == endpoint(&other.report);
                elsewhere.id == instance.id
                    && (named || same_endpoint)
                    && (other.runs() || elsewhere.seen < instance.seen)
            })
        };
        let stays = all.iter().copied().filter(|one| !moved(*one));
        let mut stays: Vec<_> = stays
            .map(|(aged, instance)| (&*instance.id, &*aged.report.provider, instance.seen))
            .collect();
        let mut is: Vec<_> = fleet(&reports)
            .iter()
            .map(|seen| (&*seen.instance.id, &*seen.provider.provider, seen.unseen))
            .collect();
        for list in [&mut stays, &mut is] {
            list.sort_by(|a, b| a.partial_cmp(b).unwrap());
        }
        prop_assert_eq!(is, stays);
    }
}

#[test]
fn an_instance_of_an_older_provider_counts() {
    let instance = instance("edge", "10.0.0.1", 0.0);
    assert!(instance.counts && !instance.reconnects);
}

#[test]
fn of_many_names_the_first_few_are_told() {
    let names: Vec<_> = (0..20_000).map(|name| format!("edge-{name}")).collect();
    assert_eq!(first_few(names[..2].iter()), "edge-0, edge-1");
    assert_eq!(
        first_few(names.iter()),
        "edge-0, edge-1, edge-2, edge-3, edge-4, and 19995 more"
    );
    assert_eq!(first_few(names[..0].iter()), "");
}

#[test]
fn of_the_other_paths_of_a_name_the_first_few_are_told() {
    assert_eq!(OtherPaths::beside("/traefik", &["/traefik"]), None);
    let all = ["/traefik", "/traefik/a", "/traefik/b"];
    let told = |path, all: &[&str]| OtherPaths::beside(path, all).unwrap().to_string();
    assert_eq!(told("/traefik/a", &all), "/traefik, /traefik/b");

    let all: Vec<_> = (1..=1000)
        .map(|share| format!("/traefik/{share}"))
        .collect();
    let all: Vec<_> = all.iter().map(String::as_str).collect();
    for (path, first) in [
        ("/traefik/1", "/traefik/2"),
        ("/traefik/1000", "/traefik/1"),
    ] {
        let others = OtherPaths::beside(path, &all).unwrap();
        assert_eq!((others.paths.len(), others.more), (5, 994));
        assert_eq!(others.paths[0], first);
    }
}
