//! Configs that are made up, all of them valid, each with traffic for its stacks.

use std::collections::BTreeMap;
use std::fmt;

use bluegreen::config::Loaded;
use bluegreen::traffic::Traffic;
use proptest::prelude::*;
use proptest::sample::{Index, select};

const STACKS: [&str; 4] = ["deals", "shop", "x.y", "Z_9"];
const SERVICES: [&str; 6] = ["api", "mcp", "dashboard-2", "a.b", "web_1", "0"];
const COLORS: [&str; 4] = ["blue", "green", "gold", "Red_4-x"];

/// Verbatim fields of a router; of those with the same name only one is taken.
const ROUTER: [&str; 10] = [
    "middlewares: [compress]",
    "middlewares: [headers, both@http, plain@file]",
    "middlewares: 'compress, headers'",
    "priority: 50",
    "priority: '7'",
    "tls: {}",
    "tls: { options: modern }",
    "entryPoints: [traefik]",
    "observability: { accessLogs: false }",
    "ruleSyntax: v3",
];

/// Verbatim fields of a load balancer.
const LOAD_BALANCER: [&str; 9] = [
    "passHostHeader: false",
    "sticky: { cookie: {} }",
    "sticky: { cookie: { name: 'süß🍪', httpOnly: true } }",
    "healthCheck: { interval: 60s }",
    "healthCheck: { path: /own, interval: 60s }",
    "responseForwarding: { flushInterval: 1ms }",
    "serversTransport: plain",
    "serversTransport: plain@http",
    "strategy: p2c",
];

const PREVIEWS: [&str; 5] = [
    "header: X-Color",
    "entryPoint: preview",
    "header: X-Color, entryPoint: preview",
    "header: X-Color, rule: 'ClientIP(`127.0.0.1`)'",
    "entryPoint: preview, rule: 'HeaderRegexp(`X-Secret`, `^a|b$`) || Query(`preview`)'",
];

/// What else the verbatim part may have besides what routers and load balancers refer to; the target is filled in.
const EXTRAS: [&str; 7] = [
    "routers: { extra: { rule: 'Host(`extra.localhost`)', service: TARGET } }",
    "routers: { extra: { rule: 'PathPrefix(`/ü`)', service: TARGET@http, middlewares: [both], priority: 3 } }",
    "services: { halves: { weighted: { services: [{ name: TARGET, weight: 1 }, { name: noop@internal, weight: 1 }] } } }",
    "services: { copies: { mirroring: { service: TARGET, mirrors: [{ name: TARGET, percent: 10 }] } } }",
    "services: { spare: { failover: { service: TARGET, fallback: elsewhere@file } } }",
    "services: { own: { loadBalancer: { servers: [{ url: 'http://127.0.0.1:9' }], healthCheck: { path: / } } } }",
    "routers: { extra: { rule: 'Host(`extra.localhost`)', service: own } }, services: { own: { loadBalancer: { servers: [{ url: 'http://127.0.0.1:9' }] } } }",
];

const OTHERS: [&str; 3] = [
    "",
    "  tcp: { routers: { raw: { entryPoints: [web], rule: HostSNI(`*`), service: raw } }, services: { raw: { loadBalancer: { servers: [{ address: '127.0.0.1:7' }] } } } }\n",
    "  tcp: { services: { raw: { loadBalancer: { servers: [{ address: '127.0.0.1:7' }] } } } }\n",
];

/// A config as text, and what it says.
#[derive(Clone)]
pub(super) struct Made {
    pub(super) stacks: BTreeMap<&'static str, Stack>,
    pub(super) marker: bool,
    pub(super) text: String,
}

#[derive(Clone, Debug)]
pub(super) struct Stack {
    pub(super) colors: Vec<&'static str>,
    pub(super) weights: Vec<u32>,
    pub(super) preview: Option<&'static str>,
    pub(super) services: BTreeMap<&'static str, Service>,
    entry_points: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) rule: String,
    /// For each color its servers' URLs, or one `name@provider`.
    pub(super) servers: Vec<Vec<String>>,
    router: Vec<&'static str>,
    load_balancer: Vec<&'static str>,
    health: bool,
}

impl Service {
    /// The name of the Traefik service of one color.
    pub(super) fn of_color(&self, base: &str, color: usize, name: &str) -> String {
        match self.servers[color].as_slice() {
            [one] if one.contains('@') => one.clone(),
            _ => format!("{base}-{name}"),
        }
    }
}

impl Stack {
    /// The traffic as it is written into the key; backwards, it means the same.
    pub(super) fn value(&self, backwards: bool) -> String {
        let shares = self.colors.iter().zip(&self.weights);
        let mut shares: Vec<_> = shares.map(|(c, w)| format!("{c}:{w}")).collect();
        if backwards {
            shares.reverse();
        }
        shares.join(",")
    }

    /// The color that has all the traffic.
    pub(super) fn sole(&self) -> Option<usize> {
        let mut some = (0..self.colors.len()).filter(|color| self.weights[*color] > 0);
        some.next().filter(|_| some.next().is_none())
    }
}

impl Made {
    /// The config as it is read.
    #[track_caller]
    pub(super) fn load(&self) -> Loaded {
        let files = vec![("bluegreen.yml".into(), self.text.clone())];
        let loaded = bluegreen::config::parse(files, &|_| None);
        loaded.unwrap_or_else(|report| panic!("a valid config is refused: {report}"))
    }

    /// The traffic of every stack.
    pub(super) fn traffic(&self, backwards: bool) -> BTreeMap<String, Traffic> {
        let parse = |stack: &Stack| {
            let colors: Vec<_> = stack.colors.iter().map(|c| c.parse().unwrap()).collect();
            Traffic::parse(stack.value(backwards).as_bytes(), &colors).unwrap()
        };
        let stacks = self.stacks.iter();
        stacks
            .map(|(name, stack)| ((*name).to_owned(), parse(stack)))
            .collect()
    }
}

impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, stack) in &self.stacks {
            write!(f, "\n# {name}: {}", stack.value(false))?;
        }
        write!(f, "\n{}", self.text)
    }
}

/// One field of each name.
fn fields(of: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(select(of), 0..4).prop_map(|fields| {
        let name = |field: &&'static str| field.split_once(':').unwrap_or_default().0.to_owned();
        let by_name: BTreeMap<_, _> = fields.iter().map(|field| (name(field), *field)).collect();
        by_name.into_values().collect()
    })
}

fn servers() -> impl Strategy<Value = Vec<String>> {
    let url = (1..60_000_u16, 0..4_u8).prop_map(|(port, kind)| match kind {
        0 => format!("http://127.0.0.1:{port}"),
        1 => format!("https://backend-{port}.localhost"),
        2 => format!("http://[::1]:{port}"),
        _ => format!("h2c://localhost:{port}"),
    });
    let urls = prop::collection::btree_set(url, 1..4).prop_map(|urls| urls.into_iter().collect());
    prop_oneof![5 => urls, 1 => Just(vec!["elsewhere@file".to_owned()])]
}

/// Each has a host: to a router without one Traefik gives no TLS options of its own.
fn rule() -> impl Strategy<Value = &'static str> {
    select(&[
        "Host(`NAME.localhost`)",
        "Host(`NAME.localhost`) && (PathPrefix(`/ü`) || Path(`/🍪`))",
        "Host(`NAME.localhost`) && HostRegexp(`^NAME\\..+$`) && !Header(`X-No`, `yes`)",
        "Host(\"NAME.localhost\") || Host(`NAME.test`)",
    ])
}

fn service() -> impl Strategy<Value = Service> {
    let elsewhere = || vec!["elsewhere@file".to_owned()];
    let servers = prop_oneof![
        4 => prop::collection::vec(servers(), COLORS.len()),
        1 => Just([(); COLORS.len()].map(|()| elsewhere()).to_vec()),
    ];
    (
        rule(),
        servers,
        fields(&ROUTER),
        fields(&LOAD_BALANCER),
        any::<bool>(),
    )
        .prop_map(|(rule, servers, router, load_balancer, health)| Service {
            rule: rule.to_owned(),
            servers,
            router,
            load_balancer,
            health,
        })
}

fn stack() -> impl Strategy<Value = Stack> {
    let weight = prop_oneof![2 => Just(0), 2 => 1..100_u32, 1 => 99_999..=100_000_u32];
    (
        2..=COLORS.len(),
        prop::collection::vec(weight, COLORS.len()),
        any::<Index>(),
        prop::option::of(select(&PREVIEWS)),
        prop::collection::btree_map(select(&SERVICES), service(), 1..SERVICES.len() + 1),
        any::<bool>(),
    )
        .prop_map(
            |(colors, mut weights, some, preview, mut services, entry_points)| {
                weights.truncate(colors);
                if weights.iter().all(|weight| *weight == 0) {
                    weights[some.index(colors)] = 1;
                }
                for service in services.values_mut() {
                    service.servers.truncate(colors);
                    // Where there is no load balancer of ours, its fields would be a mistake.
                    if service
                        .servers
                        .iter()
                        .all(|servers| servers[0].contains('@'))
                    {
                        service.load_balancer.clear();
                    }
                }
                let colors = COLORS[..colors].to_vec();
                Stack {
                    colors,
                    weights,
                    preview,
                    services,
                    entry_points,
                }
            },
        )
}

/// Valid configs with valid traffic.
pub(super) fn configs() -> impl Strategy<Value = Made> {
    (
        prop::collection::btree_map(select(&STACKS), stack(), 1..=STACKS.len()),
        prop::option::of(select(&EXTRAS)),
        any::<Index>(),
        select(&OTHERS),
        any::<bool>(),
    )
        .prop_map(|(mut stacks, extra, target, others, marker)| {
            let mut bases = Vec::new();
            for (name, stack) in &mut stacks {
                for (service_name, service) in &mut stack.services {
                    let base = format!("{name}-{service_name}");
                    service.rule = service.rule.replace("NAME", &base.replace(['.', '_'], "-"));
                    let color = target.index(stack.colors.len());
                    bases.push(service.of_color(&base, color, stack.colors[color]));
                }
            }
            let mut text = String::from("stacks:\n");
            for (name, stack) in &stacks {
                text += &written(name, stack);
            }
            text += "traefik:\n  http:\n    middlewares: { compress: { compress: {} }, headers: { headers: { customRequestHeaders: { X-Odd: \"a\\x7Fb\\u0085c\" } } }, both: { chain: { middlewares: [compress, headers] } } }\n";
            text += "    serversTransports: { plain: { insecureSkipVerify: true } }\n";
            if let Some(extra) = extra {
                let target = &bases[target.index(bases.len())];
                // What another provider has is no name of ours.
                let qualified = match target.contains('@') {
                    true => target.clone(),
                    false => format!("{target}@http"),
                };
                let extra = extra.replace("TARGET@http", &qualified);
                let extra = extra.replace("TARGET", target);
                text += &format!("    {}\n", extra.replace("}, services:", "}\n    services:"));
            }
            text += others;
            text += "  tls: { options: { modern: { minVersion: VersionTLS13 } } }\n";
            if marker {
                text += "marker: { entryPoint: traefik, port: 8080 }\n";
            }
            Made {
                stacks,
                marker,
                text,
            }
        })
}

fn written(name: &str, stack: &Stack) -> String {
    let mut text = format!(
        "  {name}:\n    key: key-{name}\n    colors: [{}]\n",
        stack.colors.join(", ")
    );
    if stack.entry_points {
        text += "    entryPoints: [web, traefik]\n";
    }
    if let Some(preview) = stack.preview {
        text += &format!("    preview: {{ {preview} }}\n");
    }
    text += "    services:\n";
    for (name, service) in &stack.services {
        text += &format!(
            "      {name}:\n        rule: '{}'\n        servers:\n",
            service.rule
        );
        for (color, servers) in stack.colors.iter().zip(&service.servers) {
            let servers = match servers.as_slice() {
                [one] => one.clone(),
                many => format!("['{}']", many.join("', '")),
            };
            text += &format!("          {color}: {servers}\n");
        }
        for (key, fields) in [
            ("router", &service.router),
            ("loadBalancer", &service.load_balancer),
        ] {
            if !fields.is_empty() {
                text += &format!("        {key}: {{ {} }}\n", fields.join(", "));
            }
        }
        if service.health {
            text += "        health: /health\n";
        }
    }
    text
}
