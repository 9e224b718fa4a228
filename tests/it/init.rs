//! `bluegreen init`: from the files that somebody has to a config that passes `check`.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bluegreen::color::Color;
use bluegreen::config::{self, Config, Servers, Stack};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::backend::Backend;
use crate::support::cli::{Cli, Output};
use crate::support::provider;
use crate::support::redis::Redis;
use crate::support::traefik;

/// The files of the tests.
const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/init");
const SEED: [&str; 4] = [
    "seed/compose.blue.yml",
    "seed/compose.green.yml",
    "seed/proxy.yml",
    "seed/traefik-dynamic/routing.yml",
];

/// What `init` makes of files: it prints a config, which `check` takes.
async fn init(dir: &Path, args: &[&str]) -> (Config, Output) {
    let args: Vec<_> = ["init", "--stdout"].iter().chain(args).copied().collect();
    let output = Cli::new(&args)
        .dir(dir)
        .any_stdout()
        .any_stderr()
        .run()
        .await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bluegreen.yml");
    std::fs::write(&path, &output.stdout).unwrap();
    Cli::new(&["check"])
        .config(path.clone())
        .stdout("is good")
        .run()
        .await;
    let loaded = config::load(&path, &|_| None).unwrap();
    assert!(
        loaded.warnings.is_empty(),
        "{}\n{}",
        loaded.warnings,
        output.stdout
    );
    (loaded.config, output)
}

/// The same of the files of these tests.
async fn of(args: &[&str]) -> (Config, Output) {
    init(Path::new(FILES), args).await
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

/// The servers of a service, color by color.
#[track_caller]
fn servers(stack: &Stack, service: &str) -> Vec<String> {
    let service = stack
        .services
        .get(service)
        .unwrap_or_else(|| panic!("no {service}: {stack:#?}"));
    let of = |color: &Color| match &service.servers[color] {
        Servers::Urls(urls) => urls.join(" "),
        Servers::Reference(name) => name.clone(),
    };
    stack.colors.iter().map(of).collect()
}

#[track_caller]
fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[tokio::test]
async fn a_seed_is_taken_over_whole() {
    let (config, Output { stdout, stderr, .. }) = of(&SEED).await;
    let deals = &config.stacks["deals"];
    let host = "http://host.docker.internal";
    for (service, rule, blue, green, health) in [
        (
            "deal-api",
            "Host(`api.localhost`) || PathPrefix(`/api`)",
            8091,
            8092,
            "/health",
        ),
        (
            "mcp-server",
            "Host(`mcp.localhost`)",
            9100,
            9101,
            "/healthz",
        ),
        ("dashboard", "Host(`dashboard.localhost`)", 3003, 3004, "/"),
    ] {
        assert_eq!(
            servers(deals, service),
            [format!("{host}:{blue}"), format!("{host}:{green}")]
        );
        assert_eq!(deals.services[service].rule, rule);
        assert_eq!(deals.services[service].health.as_deref(), Some(health));
    }
    assert_eq!(deals.services.len(), 3, "{stdout}");
    assert_eq!(deals.entry_points, ["web"]);
    assert_eq!(deals.production.as_deref(), Some("http://127.0.0.1:80"));
    let containers: Vec<_> = deals
        .containers
        .iter()
        .map(|(c, name)| format!("{c} {name}"))
        .collect();
    assert_eq!(containers, ["blue deals-blue", "green deals-green"]);
    assert_eq!(
        Value::from(deals.services["dashboard"].router.clone()),
        json!({ "priority": 1, "middlewares": ["security-headers", "old-paths"] })
    );
    assert_eq!(
        Value::from(deals.services["deal-api"].load_balancer.clone()),
        json!({ "healthCheck": { "path": "/health", "interval": "5s" } })
    );
    let http = Value::from(config.traefik);
    // What looks like a variable of ours is Traefik's own.
    assert_eq!(
        http["http"]["middlewares"]["old-paths"]["redirectRegex"]["replacement"],
        "${1}/${2}"
    );
    assert_eq!(
        http["http"]["routers"]["traefik-dashboard"]["service"],
        "api@internal"
    );
    assert!(http["http"].get("services").is_none(), "{http}");
    let marker = config.marker.unwrap();
    assert_eq!(
        (marker.entry_point.as_str(), marker.port),
        ("traefik", 8080)
    );
    assert!(config.generated_certificate);
    contains(
        &stdout,
        &[
            // A port that a variable says keeps it.
            "green: http://host.docker.internal:${DASHBOARD_GREEN_PORT:-3004}",
            "# migrate is not switched: only in blue (compose.blue.yml)",
            "#     blue: http://",
        ],
    );
    contains(
        &stderr,
        &[
            "found 3 services of the stack deals",
            "note: proxy.yml: `postgres` is left out",
            "`migrate` is commented out",
            "bluegreen check",
            "--providers.http.endpoint=http://127.0.0.1:9000/traefik",
            "--providers.http.headers.Prefer=wait=1",
            "take seed/traefik-dynamic/routing.yml away from Traefik",
            "bluegreen flip green",
        ],
    );
    assert!(!stderr.contains("look at:"), "{stderr}");
}

#[tokio::test]
async fn the_compose_files_of_this_repository_make_three_services() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let args = [
        "compose.blue.yml",
        "compose.green.yml",
        "proxy.yml",
        "--stack=deals",
    ];
    let (config, Output { stdout, stderr, .. }) = init(root, &args).await;
    let deals = &config.stacks["deals"];
    for (service, blue, green) in [
        ("api", 8091, 8092),
        ("mcp", 9100, 9101),
        ("dashboard", 3003, 3004),
    ] {
        let at = |port| format!("http://127.0.0.1:{port}");
        assert_eq!(servers(deals, service), [at(blue), at(green)]);
        assert_eq!(
            deals.services[service].rule,
            format!("Host(`{service}.localhost`)")
        );
    }
    assert_eq!(deals.services.len(), 3);
    assert_eq!(deals.production.as_deref(), Some("http://127.0.0.1:80"));
    assert_eq!(config.marker.unwrap().port, 8080);
    contains(
        &stdout,
        &[
            "blue: http://${API_BLUE:-127.0.0.1:8091}   # in its network: api-blue:8091",
            "# containers: { blue: deals-blue, green: deals-green }   # not found in the files",
            "# health: /health   # not found in the files: which path",
        ],
    );
    contains(
        &stderr,
        &[
            "look at:",
            "bluegreen.yml:9: # containers",
            "MCP_GREEN=mcp-green:9101",
        ],
    );
    // As proxy.yml sets them: by name, within the network.
    let env = |name: &str| {
        stderr.lines().find_map(|line| {
            Some(
                line.trim()
                    .strip_prefix(name)?
                    .strip_prefix('=')?
                    .to_owned(),
            )
        })
    };
    let inside = config::parse(vec![("bluegreen.yml".into(), stdout)], &env)
        .unwrap()
        .config;
    assert_eq!(
        servers(&inside.stacks["deals"], "dashboard"),
        ["http://dashboard-blue:3003", "http://dashboard-green:3004"]
    );
}

#[tokio::test]
async fn labels_say_what_is_routed() {
    let (config, Output { stdout, stderr, .. }) =
        of(&["labels/compose-blue.yaml", "labels/compose-green.yaml"]).await;
    let stack = &config.stacks["labels"];
    assert_eq!(stack.services.len(), 2, "{stdout}");
    let web = &stack.services["web"];
    assert_eq!(web.rule, "Host(`www.localhost`) && !Path(`/admin`)");
    assert_eq!(web.health.as_deref(), Some("/up"));
    assert_eq!(
        Value::from(web.router.clone()),
        json!({ "middlewares": ["auth", "gzip@file"], "tls": { "certResolver": "le" }, "entryPoints": ["web", "websecure"] })
    );
    // The colors' services have one name: only their containers tell them apart.
    assert_eq!(
        servers(stack, "web"),
        [
            "http://labels-blue-web-1:3000",
            "http://labels-green-web-1:3000"
        ]
    );
    assert_eq!(
        servers(stack, "api"),
        ["http://shop-api-blue:8080", "http://shop-api-green:8080"]
    );
    contains(
        &stdout,
        &[
            "rule: Host(`www.${DOMAIN:-localhost}`)",
            "rule: Host(`api.${API_DOMAIN:-localhost}`)   # not found in the files: API_DOMAIN has no value",
            "# not found in the files: is this its container",
        ],
    );
    contains(
        &stderr,
        &[
            "`cache` is left out",
            "`worker` is left out: it has no port",
            "loadbalancer.sticky.cookie",
            "take the routers' labels away",
        ],
    );
}

#[tokio::test]
async fn one_file_has_its_colors_in_the_names_of_the_services() {
    let (config, Output { stdout, stderr, .. }) = of(&["one/compose.yml", "--colors=a,b"]).await;
    let stack = &config.stacks["shop"];
    let colors: Vec<_> = stack.colors.iter().map(Color::as_str).collect();
    assert_eq!(colors, ["a", "b"]);
    assert_eq!(
        servers(stack, "api"),
        ["http://127.0.0.1:7001", "http://127.0.0.1:7002"]
    );
    assert_eq!(
        servers(stack, "web"),
        ["http://127.0.0.1:7101", "http://127.0.0.1:80"]
    );
    assert_eq!(
        stack.services["api"].health.as_deref(),
        Some("/ready?deep=1")
    );
    // That of the file that it extends, through a service of that file.
    assert_eq!(stack.services["web"].health.as_deref(), Some("/ping"));
    assert_eq!(stack.services.len(), 2);
    assert!(stack.containers.is_empty());
    contains(
        &stdout,
        &[
            "a: http://127.0.0.1:${API_A:-7001}",
            "b: http://127.0.0.1:${WEB_B:-80}   # not found in the files: WEB_B has no value there",
            "# beta is not switched: only in b",
            "# production: http://127.0.0.1:80   # not found",
            "# marker: { entryPoint: traefik, port: 8080 }   # not found",
        ],
    );
    contains(
        &stderr,
        &[
            "`include` is not followed",
            "the range of ports `7010-7012` is left out",
            "`db` is left out",
        ],
    );
}

#[tokio::test]
async fn a_dynamic_file_alone_suffices_where_it_has_both_colors() {
    let dir = folder(&[(
        "routing.yml",
        "
http:
  routers:
    shop:
      rule: Host(`shop.localhost`)
      service: shop
    shop-secure:
      rule: Host(`shop.localhost`)
      entryPoints: [websecure]
      service: shop
      tls: { certResolver: le }
      middlewares: [compress, elsewhere]
    api:
      rule: Host(`api.localhost`)
      service: api-green@file
    preview:
      rule: Host(`preview.localhost`)
      service: api-blue
    static:
      rule: PathPrefix(`/static`)
      service: static
    copied:
      rule: Host(`copied.localhost`)
      service: mirror
  services:
    mirror: { mirroring: { service: static, mirrors: [{ name: canary-blue, percent: 5 }] } }
    canary-blue: { loadBalancer: { servers: [{ url: http://10.0.0.8 }] } }
    unused-blue: { loadBalancer: { servers: [{ url: http://10.0.0.8 }] } }
    shop:
      weighted: { services: [{ name: shop-blue, weight: 0 }, { name: shop-green, weight: 1 }] }
    shop-blue: { loadBalancer: { servers: [{ url: http://10.0.0.1:1 }, { url: http://10.0.0.2:1 }] } }
    shop-green: { loadBalancer: { servers: [{ url: http://10.0.0.3:1 }] } }
    api-blue: { loadBalancer: { sticky: { cookie: { name: c } }, servers: [{ url: http://10.0.0.1:2 }] } }
    api-green: { loadBalancer: { sticky: { cookie: { name: c } }, servers: [{ url: http://10.0.0.3:2 }] } }
    static: { loadBalancer: { servers: [{ url: http://10.0.0.9 }] } }
  middlewares:
    compress: { compress: { level: 3 } }
tls:
  stores: { default: { defaultCertificate: { certFile: a.pem, keyFile: a.key } } }
",
    )]);
    let (config, Output { stdout, stderr, .. }) =
        init(dir.path(), &["routing.yml", "--stack=x"]).await;
    let stack = &config.stacks["x"];
    let colors: Vec<_> = stack.colors.iter().map(Color::as_str).collect();
    // Green has the traffic there, so that it has it here while the key has never been set.
    assert_eq!(colors, ["green", "blue"]);
    let shop = ["http://10.0.0.3:1", "http://10.0.0.1:1 http://10.0.0.2:1"];
    assert_eq!(servers(stack, "shop"), shop);
    assert_eq!(servers(stack, "shop-secure"), shop);
    assert_eq!(
        servers(stack, "api"),
        ["http://10.0.0.3:2", "http://10.0.0.1:2"]
    );
    assert_eq!(stack.services.len(), 3);
    assert_eq!(
        Value::from(stack.services["shop-secure"].router.clone()),
        json!({ "entryPoints": ["websecure"], "middlewares": ["compress", "elsewhere@file"], "tls": { "certResolver": "le" } })
    );
    assert_eq!(
        stack.services["api"].load_balancer["sticky"]["cookie"]["name"],
        "c"
    );
    let http = Value::from(config.traefik);
    assert_eq!(http["http"]["routers"]["preview"]["service"], "x-api-blue");
    assert_eq!(http["http"]["routers"]["static"]["service"], "static");
    let kept: Vec<_> = http["http"]["services"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    // With what they are made of.
    assert_eq!(kept, ["canary-blue", "mirror", "static"]);
    // What Traefik does not know would make it refuse the whole document.
    assert!(!config.generated_certificate);
    contains(
        &stdout,
        &[
            "green first: routing.yml sends the traffic there",
            "routing.yml has a default certificate",
        ],
    );
    contains(
        &stderr,
        &[
            "left out: `traefik.http.middlewares.compress.compress.level`",
            "taken as `elsewhere@file`",
        ],
    );
}

#[tokio::test]
async fn a_middleware_of_a_colors_containers_outlives_them() {
    let labels = |color: &str, average: u8| {
        format!(
            r#"services:
  api-{color}:
    image: x
    ports: ['80']
    labels:
      traefik.http.routers.api-{color}.rule: Host(`a`)
      traefik.http.routers.api-{color}.middlewares: all, edge, Gone
      traefik.http.middlewares.all.chain.middlewares: ratelimit,gzip, elsewhere@file
      traefik.http.middlewares.RateLimit.ratelimit.average: "1"
      traefik.http.middlewares.ratelimit.ratelimit.AVERAGE: "{average}"
      traefik.http.middlewares.ratelimit.rateLimit.sourceCriterion.ipStrategy.excludedips: 127.0.0.1,10.0.0.1
      traefik.http.middlewares.gzip.compress: "true"
      traefik.http.middlewares.gone.headers.customrequestheaders.X-Gone: "1"
"#
        )
    };
    let proxy = "services: { traefik: { image: traefik, labels: { traefik.http.middlewares.edge.compress: true } } }";
    let (blue, green) = (labels("blue", 100), labels("green", 90));
    let dir = folder(&[
        ("compose.blue.yml", &blue),
        ("compose.green.yml", &green),
        ("proxy.yml", proxy),
    ]);
    let files = ["compose.blue.yml", "compose.green.yml", "proxy.yml"];
    let (config, Output { stderr, stdout, .. }) = init(dir.path(), &files).await;
    let api = config.stacks.values().next().unwrap().services["api"].clone();
    assert_eq!(
        api.router["middlewares"],
        json!(["all", "edge@docker", "Gone@docker"]),
        "{stdout}"
    );
    assert_eq!(
        config.traefik["http"]["middlewares"],
        json!({
            "all": { "chain": { "middlewares": ["ratelimit", "gzip", "elsewhere@file"] } },
            "gzip": { "compress": "true" },
            "ratelimit": { "rateLimit": {
                "average": "100",
                "sourceCriterion": { "ipStrategy": { "excludedIPs": "127.0.0.1,10.0.0.1" } },
            } },
        })
    );
    contains(
        &stderr,
        &[
            "the middleware `ratelimit` is defined by the labels of api-blue (blue), and would end with that container: it is taken over below `traefik`",
            "the middleware `ratelimit` is another one in green: that of api-blue (blue) is taken",
            "the middleware `Gone@docker` is not defined in these files",
        ],
    );
    assert!(!stderr.contains("edge@docker"), "{stderr}");
}

/// Traefik 3 would disable the router.
#[tokio::test]
async fn a_rule_of_traefik_2_is_translated() {
    let routing = r#"
http:
  routers:
    app: { rule: "Host(`a`, `www.a`)", service: app-blue }
    other: { rule: "Query(`a=b`)", service: other }
    old: { rule: "Query(`a=b`)", service: other, ruleSyntax: v2 }
  services:
    app-blue: { loadBalancer: { servers: [ { url: "http://127.0.0.1:8091" } ] } }
    app-green: { loadBalancer: { servers: [ { url: "http://127.0.0.1:8092" } ] } }
    other: { loadBalancer: { servers: [ { url: "http://127.0.0.1:8093" } ] } }
"#;
    let dir = folder(&[("routing.yml", routing)]);
    let (config, Output { stderr, .. }) = init(dir.path(), &["routing.yml"]).await;
    let app = &config.stacks.values().next().unwrap().services["app"];
    assert_eq!(app.rule, "Host(`a`) || Host(`www.a`)");
    let routers = &config.traefik["http"]["routers"];
    assert_eq!(routers["other"]["rule"], "Query(`a`, `b`)");
    assert_eq!(routers["old"]["rule"], "Query(`a=b`)");
    let said = "the rule Host(`a`, `www.a`) is one of Traefik 2: for Traefik 3 it is Host(`a`) || Host(`www.a`)";
    contains(&stderr, &[said]);
}

#[tokio::test]
async fn colors_are_told_by_folders_and_servers_by_names() {
    let compose = |port: u16, rest: &str| {
        format!(
            "services:\n  api:\n    image: x\n    ports: ['{port}:80']\n    healthcheck: {{ test: NONE }}\n{rest}"
        )
    };
    let dir = folder(&[
        (
            "shop/blue/compose.yml",
            &compose(7001, "    container_name: left\n"),
        ),
        (
            "shop/green/compose.yml",
            &compose(7002, "    container_name: right\n"),
        ),
        ("shop/blue/.env", "UNUSED=1\n"),
        (
            "shop/dynamic.yml",
            "http:\n  routers: { r: { rule: 'Host(`a`)', service: backend } }\n  services: { backend: { loadBalancer: { servers: [{ url: 'http://right:80' }] } } }\n",
        ),
        (
            "shop/traefik.yml",
            "entryPoints:\n  public: { address: ':8000' }\n  traefik: { address: ':8081' }\nproviders: { file: { directory: /d } }\n",
        ),
    ]);
    let args = [
        "shop/blue/compose.yml",
        "shop/green/compose.yml",
        "shop/dynamic.yml",
        "shop/traefik.yml",
    ];
    let (config, Output { stdout, .. }) = init(dir.path(), &args).await;
    let stack = &config.stacks["shop"];
    assert_eq!(stack.colors[0].as_str(), "green");
    assert_eq!(servers(stack, "api"), ["http://right:80", "http://left:80"]);
    assert_eq!(stack.entry_points, ["public"]);
    assert_eq!(stack.production.as_deref(), Some("http://127.0.0.1:8000"));
    assert_eq!(config.marker.unwrap().port, 8081);
    contains(&stdout, &["# health: /health"]);
}

#[tokio::test]
async fn the_file_is_written_and_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bluegreen.yml");
    let run = |args: &[&str]| {
        let args: Vec<_> = ["init"].iter().chain(&SEED).chain(args).copied().collect();
        Cli::new(&args).dir(Path::new(FILES)).config(path.clone())
    };
    run(&[]).stderr("bluegreen.yml is written").run().await;
    let text = std::fs::read_to_string(&path).unwrap();
    let readable = path.metadata().unwrap().permissions().mode();
    assert_ne!(
        readable & 0o044,
        0,
        "{readable:o}: `serve` may run as somebody else"
    );
    let again = run(&[]).code(1).any_stderr().run().await;
    contains(
        &again.stderr,
        &["is there already; nothing was changed", "--force"],
    );
    std::fs::write(&path, "mine").unwrap();
    run(&[]).code(1).any_stderr().run().await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    run(&["--force", "--quiet"]).run().await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    let names: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(names, ["bluegreen.yml"]);
    run(&["--config=-", "-q"]).stdout_is(&text).run().await;
    run(&["--config=/no/such/folder/b.yml"])
        .code(1)
        .stderr("can't be written")
        .run()
        .await;
    run(&["--config=."])
        .code(1)
        .stderr("it is a folder")
        .run()
        .await;
    let json = run(&["--json", "--stdout", "-q"])
        .any_stdout()
        .run()
        .await
        .json();
    assert_eq!(json["config"], text);
    assert_eq!(json["unknown"], json!([]));
}

#[tokio::test]
async fn what_makes_no_config_is_told() {
    let api = "services:\n  api: { image: x, ports: ['1:1'] }\n";
    let dir = folder(&[
        ("compose.blue.yml", api),
        ("compose.yml", api),
        ("empty.yml", ""),
        ("bad.yml", "services:\n\tapi: {}\n"),
        ("twice.yml", "services: {}\nservices: {}\n"),
        ("list.yml", "- a\n"),
        ("other.yml", "a: 1\n"),
        ("own.yml", "stacks: {}\n"),
        ("nothing.yml", "services: {}\n"),
        (
            "odd.blue.yml",
            "services: { api: 5, b: { ports: {}, labels: 7, healthcheck: [], extends: { file: gone.yml } }, c: { extends: c } }\n",
        ),
    ]);
    std::fs::write(dir.path().join("binary.yml"), [0xff, 0xfe, 0]).unwrap();
    for (args, parts) in [
        (
            &["compose.blue.yml"][..],
            &[
                "nothing to switch was found",
                "`api`: only in blue",
                "--colors",
            ][..],
        ),
        (
            &["compose.yml"],
            &[
                "no service is in all of blue, green",
                "neither its name nor its file's has a color",
            ],
        ),
        (
            &["compose.blue.yml", "compose.yml", "--colors=x,y"],
            &["no service is in all of x, y"],
        ),
        (
            &["compose.blue.yml", "--colors=x"],
            &["at least two different colors"],
        ),
        (
            &["compose.blue.yml", "--colors=x,x"],
            &["at least two different colors"],
        ),
        (&["compose.blue.yml", "--colors=x,-"], &["can't be a color"]),
        (&["nothing.yml"], &["nothing to switch"]),
        (&["odd.blue.yml"], &["nothing to switch"]),
        (&["empty.yml"], &["can't be read as YAML"]),
        (&["bad.yml"], &["this is not YAML", "bad.yml:2"]),
        (&["twice.yml"], &["`services` is given twice"]),
        (&["list.yml"], &["no mapping"]),
        (&["other.yml"], &["neither a compose file nor"]),
        (&["own.yml"], &["a bluegreen.yml already"]),
        (&["binary.yml"], &["not UTF-8"]),
        (&["gone.yml"], &["gone.yml can't be read"]),
        (&["."], &["can't be read"]),
        (&[], &["<FILE>"]),
    ] {
        let args: Vec<_> = ["init"].iter().chain(args).copied().collect();
        let output = Cli::new(&args)
            .dir(dir.path())
            .code(2)
            .any_stderr()
            .run()
            .await;
        contains(&output.stderr, parts);
    }
    assert!(!dir.path().join("bluegreen.yml").exists());
}

#[tokio::test]
async fn what_check_would_refuse_is_left_out_and_told() {
    let dir = folder(&[(
        "routing.yml",
        r##"
http:
  routers:
    a: { rule: Host(`a`), service: s-blue, foo: 1, middlewares: [texts], priority: high }
    b: { rule: Host(`b`, service: t-blue }
    c: 7
  services:
    s-blue: { loadBalancer: { servers: [{ url: "http://x:1/p" }, { url: "ftp://y" }], bogus: 1 } }
    s-green: { loadBalancer: { servers: [{ url: "http://x:2" }] } }
    t-blue: { loadBalancer: { servers: [{ url: "http://x:3" }] } }
    t-green: { loadBalancer: { servers: [{ url: "http://x:4" }] } }
  middlewares:
    texts: { stripPrefix: { prefixes: ["/a", "no", "", "- x", "a: b", "x #y", "\n", "'", '"', "a\\b", "$${X}", "1e3", "~", "@x", "`x`", "a'\"b", "x:", "[", "#", "\u2028x"] } }
    empty: { headers: {} }
tcp: {}
"##,
    )]);
    let (config, Output { stdout, stderr, .. }) =
        init(dir.path(), &["routing.yml", "--stack=x"]).await;
    let stack = &config.stacks["x"];
    assert_eq!(servers(stack, "s"), ["http://x:1", "http://x:2"]);
    assert_eq!(
        Value::from(stack.services["s"].router.clone()),
        json!({ "middlewares": ["texts"] })
    );
    assert_eq!(stack.services["t"].rule, "Host(`t.localhost`)");
    assert!(stack.services["s"].load_balancer.is_empty());
    // Every text arrives as it was.
    assert_eq!(
        config.traefik["http"]["middlewares"]["texts"]["stripPrefix"]["prefixes"],
        json!([
            "/a",
            "no",
            "",
            "- x",
            "a: b",
            "x #y",
            "\n",
            "'",
            "\"",
            "a\\b",
            "$${X}",
            "1e3",
            "~",
            "@x",
            "`x`",
            "a'\"b",
            "x:",
            "[",
            "#",
            "\u{2028}x"
        ])
    );
    contains(&stdout, &["# not found in the files: they say Host(`b`"]);
    contains(
        &stderr,
        &[
            "the path of `http://x:1/p` is left out",
            "`ftp://y` is neither",
            "left out: `stacks.x.services.s.router.foo`",
            "left out: `stacks.x.services.s.router.priority`",
            "left out: `stacks.x.services.s.loadBalancer.bogus`",
            "left out: `traefik.http.routers.c`",
            "left out: `traefik.tcp`",
        ],
    );
    let bad = Cli::new(&["init", "routing.yml", "--stack=a b"]).dir(dir.path());
    bad.code(2).stderr("`a b` can't be a name").run().await;
}

#[tokio::test]
async fn a_traefik_in_a_container_gets_names_also_for_ports_in_variables() {
    let (config, Output { stdout, stderr, .. }) = of(&SEED[..3]).await;
    let deals = &config.stacks["deals"];
    assert_eq!(
        servers(deals, "dashboard"),
        ["http://127.0.0.1:3003", "http://127.0.0.1:3004"]
    );
    contains(
        &stdout,
        &["blue: http://${DASHBOARD_BLUE:-127.0.0.1:3003}   # in its network: dashboard-blue:80"],
    );
    contains(&stderr, &["DASHBOARD_GREEN=dashboard-green:80"]);
    // Without a Traefik the variable is the port's.
    let (_, Output { stdout, .. }) = of(&SEED[..2]).await;
    contains(&stdout, &["http://127.0.0.1:${DASHBOARD_BLUE_PORT:-3003}"]);
}

/// Serves a config to a real Traefik, whose users follow the key: first blue, then green.
async fn routes(config: &str, env: &[(&str, String)], hosts: &[&str], key: &str) {
    let redis = Redis::start().await;
    let mut options = provider::Options::new(config, &redis.url());
    for (name, value) in env {
        options = options.env(name, value);
    }
    let provider = options.start().await;
    let traefik = traefik::Options::recommended(&provider.url(), "edge-1")
        .start()
        .await;
    for host in hosts {
        traefik.wait_for(host, "blue").await;
    }
    redis.cli(&["SET", key, "green"]).await;
    for host in hosts {
        traefik.wait_for(host, "green").await;
    }
}

#[tokio::test]
async fn what_comes_of_a_seed_routes() {
    let mut backends = Vec::new();
    let dir = tempfile::tempdir().unwrap();
    let ports = [(8091, 8092), (9100, 9101), (3003, 3004)];
    for name in ["api", "mcp", "dashboard"] {
        backends.push(Backend::start(name, &["blue", "green"]).await);
    }
    // The files with the ports of the backends; the name of the host is one that only containers have.
    let mut paths: Vec<PathBuf> = Vec::new();
    for file in SEED {
        let mut text = std::fs::read_to_string(Path::new(FILES).join(file)).unwrap();
        for (backend, (blue, green)) in backends.iter().zip(ports) {
            let of = |color| backend.address(color).port().to_string();
            text = text
                .replace(&blue.to_string(), &of("blue"))
                .replace(&green.to_string(), &of("green"));
        }
        let path = dir.path().join(Path::new(file).file_name().unwrap());
        std::fs::write(&path, text.replace("host.docker.internal:", "127.0.0.1:")).unwrap();
        paths.push(path);
    }
    let args: Vec<_> = paths.iter().map(|path| path.to_str().unwrap()).collect();
    let (_, output) = init(dir.path(), &args).await;
    let hosts = ["api.localhost", "mcp.localhost", "dashboard.localhost"];
    routes(&output.stdout, &[], &hosts, "active").await;
}

#[tokio::test]
async fn what_comes_of_this_repositorys_files_routes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let args = ["compose.blue.yml", "compose.green.yml", "proxy.yml"];
    let (_, output) = init(root, &args).await;
    let mut env = Vec::new();
    let mut backends = Vec::new();
    for (name, blue, green) in [
        ("api", "API_BLUE", "API_GREEN"),
        ("mcp", "MCP_BLUE", "MCP_GREEN"),
        ("dashboard", "DASHBOARD_BLUE", "DASHBOARD_GREEN"),
    ] {
        let backend = Backend::start(name, &["blue", "green"]).await;
        env.push((blue, backend.address("blue").to_string()));
        env.push((green, backend.address("green").to_string()));
        backends.push(backend);
    }
    let hosts = ["api.localhost", "mcp.localhost", "dashboard.localhost"];
    routes(&output.stdout, &env, &hosts, "active").await;
}
