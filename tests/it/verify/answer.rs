//! What `verify production` makes of answers that Traefik gives itself, or that can't be told from those.

use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::care::Site as Deals;
use crate::support::backend::Backend;
use crate::support::cli::{Cli, Output};
use crate::support::eventually;
use crate::support::provider::{self, Provider};
use crate::support::redis::Redis;
use crate::support::traefik::{self, Traefik};

/// The stack `shop` with one service, and a Traefik of which its config knows the entrypoints.
struct Shop {
    traefik: Traefik,
    provider: Provider,
    redis: Redis,
    _files: TempDir,
}

impl Shop {
    /// `config` makes the config of Traefik's entrypoints `web` and `secure`; Traefik's file provider has this file.
    async fn start(file: &str, args: &[&str], config: impl Fn(&str, &str) -> String) -> Self {
        let redis = Redis::start().await;
        let files = tempfile::tempdir().unwrap();
        std::fs::write(files.path().join("file.yml"), file).unwrap();
        // Where Traefik is, is known only when it runs.
        let none = config("http://127.0.0.1:1", "https://127.0.0.1:1");
        let provider = provider::Options::new(&none, &redis.url()).start().await;
        let options = traefik::Options::recommended(&provider.url(), "edge");
        let options = options.entry_point("secure").and_files(files.path());
        let options = args.iter().fold(options, |options, arg| options.arg(arg));
        let traefik = options.start().await;
        let web = format!("http://{}", traefik.web());
        let secure = format!("https://{}", traefik.address("secure"));
        provider.write_config(&config(&web, &secure));
        let shop = Self {
            traefik,
            provider,
            redis,
            _files: files,
        };
        eventually("the router is there", Duration::from_secs(15), async || {
            let routers = shop.traefik.routers().await;
            routers
                .get("shop-web@http")
                .map(|_| ())
                .ok_or(format!("{routers:?}"))
        })
        .await;
        shop.provider.instance_has("edge", "confirmed", true).await;
        shop
    }

    fn command(&self, args: &[&str]) -> Cli {
        let run = Cli::new(args).of(&self.provider).any_stderr();
        run.env("BLUEGREEN_TIMEOUT", "2s").any_stdout()
    }

    /// `verify production`, which ends with this code and says this of the service.
    async fn verify(&self, code: i32, said: &[&str]) -> Output {
        let run = self
            .command(&["verify", "production"])
            .code(code)
            .run()
            .await;
        for said in said {
            assert!(run.stdout.contains(said), "{said}: {run:?}");
        }
        run
    }
}

/// A server that gives everybody this answer, as long as the test runs; its URL.
async fn says(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    url
}

const WEB: &str = "rule: Host(`shop.localhost`)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_traefik_does_not_have_is_no_answer_and_the_flip_goes_back() {
    let backend = Backend::start("web", &["blue"]).await;
    let file = format!(
        "http: {{ services: {{ web-blue: {{ loadBalancer: {{ servers: [{{ url: '{}' }}] }} }} }} }}",
        backend.url("blue")
    );
    let shop = Shop::start(&file, &[], |web, _| {
        format!(
            "stacks: {{ shop: {{ production: '{web}', services: {{ web: {{ {WEB}, \
             servers: {{ blue: web-blue@file, green: web-green@file }} }} }} }} }}\n"
        )
    })
    .await;
    shop.verify(0, &["passed      answer      web", "blue answered"])
        .await;
    let flip = shop.command(&["flip", "green"]).code(4);
    let flip = flip
        .stderr("Traefik itself answered")
        .stderr("rolled back to blue");
    flip.run().await;
    assert_eq!(shop.redis.cli(&["GET", "active"]).await, "blue");
    shop.redis.cli(&["SET", "active", "green"]).await;
    shop.verify(3, &["failed      answer      web", "404 page not found"])
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_that_traefik_has_disabled_is_no_answer_where_the_health_path_is_not_let_through()
{
    let backend = Backend::start("web", &["blue", "green"]).await;
    let config = |middleware: &str, web: &str| {
        format!(
            "stacks: {{ shop: {{ production: '{web}', services: {{ web: {{ health: /health, \
             rule: 'Host(`shop.localhost`) && PathPrefix(`/api`)', router: {{ middlewares: [{middleware}] }}, \
             servers: {{ blue: '{}', green: '{}' }} }} }} }} }}\n",
            backend.url("blue"),
            backend.url("green")
        )
    };
    let file = "http: { middlewares: { strip: { stripPrefix: { prefixes: [/api] } } } }";
    let shop = Shop::start(file, &[], |web, _| config("gone@file", web)).await;
    shop.verify(
        3,
        &["failed      answer      web", "Traefik itself answered"],
    )
    .await;
    let web = format!("http://{}", shop.traefik.web());
    shop.provider.write_config(&config("strip@file", &web));
    eventually(
        "the router is enabled",
        Duration::from_secs(15),
        async || {
            let answer = shop.traefik.get("shop.localhost", "/api/health").await;
            if answer.status == 200 {
                Ok(())
            } else {
                Err(format!("{answer:?}"))
            }
        },
    )
    .await;
    shop.verify(0, &["passed      answer      web"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_404_that_the_servers_give_themselves_is_told_from_traefiks() {
    let page = says(
        "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 7\r\n\r\nno page",
    )
    .await;
    let go = says(
        "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n\
         Content-Length: 19\r\n\r\n404 page not found\n",
    )
    .await;
    let named = says("HTTP/1.1 200 OK\r\nX-Version: green\r\nContent-Length: 0\r\n\r\n").await;
    let shop = Shop::start("{}", &[], |web, _| {
        format!(
            "stacks: {{ shop: {{ production: '{web}', colorHeader: X-Version, services: {{ web: {{ {WEB}, \
             servers: {{ blue: '{page}', green: '{go}' }} }} }} }}, \
             named: {{ key: named, production: '{web}', colorHeader: X-Version, services: {{ web: {{ \
             rule: Host(`named.localhost`), servers: {{ blue: '{named}', green: '{named}' }} }} }} }} }}\n"
        )
    })
    .await;
    let verify = async |stack: &str, code: i32, said: &str| {
        let run = shop
            .command(&["verify", "production", "--stack", stack])
            .code(code);
        let run = run.run().await;
        assert!(run.stdout.contains(said), "{said}: {run:?}");
    };
    verify("shop", 0, "404 Not Found, as its servers answer themselves").await;
    verify("named", 3, "green answered (X-Version), and has no traffic").await;
    shop.redis.cli(&["SET", "active", "green"]).await;
    eventually("green answers", Duration::from_secs(15), async || {
        let answer = shop.traefik.get("shop.localhost", "/").await;
        match answer.text() {
            "404 page not found\n" => Ok(()),
            other => Err(other.to_owned()),
        }
    })
    .await;
    verify("shop", 1, "and as the servers answer, too").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_sends_to_https_is_measured_where_the_config_says_where_that_is() {
    let backend = Backend::start("web", &["blue", "green"]).await;
    let servers = format!(
        "servers: {{ blue: '{}', green: '{}' }}",
        backend.url("blue"),
        backend.url("green")
    );
    let config = |production: &str, urls: &str| {
        format!(
            "stacks: {{ shop: {{ production: '{production}', services: {{ web: {{ {WEB}, health: /health, {urls} \
             {servers} }} }} }} }}\ndefaultCertificate: generated\n"
        )
    };
    let to_https = [
        "--entryPoints.web.http.redirections.entryPoint.to=secure",
        "--entryPoints.secure.http.tls=true",
    ];
    let shop = Shop::start("{}", &to_https, |web, _| config(web, "")).await;
    let web = format!("http://{}", shop.traefik.web());
    let secure = format!("https://{}", shop.traefik.address("secure"));
    shop.verify(
        1,
        &["unmeasured  answer      web", "name the https entrypoint"],
    )
    .await;
    let flip = shop.command(&["flip"]).stdout("shop: blue → green");
    flip.stderr("unmeasured  answer      web").run().await;
    shop.provider.write_config(&config(&secure, ""));
    shop.verify(0, &["passed      answer      web", "green answered"])
        .await;
    let both = format!("production: {{ url: ['{web}', '{secure}'] }},");
    shop.provider
        .write_config(&config("http://127.0.0.1:1", &both));
    let to = format!("answer      web {web}");
    let there = format!("answer      web {secure}");
    shop.verify(
        0,
        &[&to, &there, "where it is asked as well", "green answered"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entrypoint_that_wants_client_certificates_is_unmeasured() {
    let backend = Backend::start("web", &["blue", "green"]).await;
    for version in ["VersionTLS12", "VersionTLS13"] {
        let shop = Shop::start("{}", &["--entryPoints.secure.http.tls=true"], |_, secure| {
            format!(
                "stacks: {{ shop: {{ production: '{secure}', services: {{ web: {{ {WEB}, health: /health, \
                 servers: {{ blue: '{}', green: '{}' }} }} }} }} }}\ndefaultCertificate: generated\n\
                 traefik: {{ tls: {{ options: {{ default: {{ maxVersion: {version}, \
                 clientAuth: {{ clientAuthType: RequireAnyClientCert }} }} }} }} }}\n",
                backend.url("blue"),
                backend.url("green")
            )
        })
        .await;
        shop.verify(
            1,
            &[
                "unmeasured  answer      web",
                "Traefik wants a client certificate here",
            ],
        )
        .await;
        shop.command(&["flip"])
            .stdout("shop: blue → green")
            .run()
            .await;
    }
}

/// Production is asked by what the config gives, in the place of what the rule says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_that_is_given_is_asked_for_and_answers_with_2xx() {
    let site = Deals::start().await;
    site.reconfigure(
        "health: /health,",
        "health: /health, production: { path: /ready },",
    );
    let verify = || site.command(&["verify", "production", "--timeout", "1"]);
    verify().stdout("passed      answer      api").run().await;
    site.services[0].set_status("blue", "/ready", 404);
    let run = verify().code(3).any_stdout().run().await;
    let said = "/ready (api.localhost): expected 2xx, got 404";
    assert!(run.stdout.contains(said), "{run:?}");
}
