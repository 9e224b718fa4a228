//! Every mistake, each by itself: where it is told, by which key, and with which hint.

use super::{SMALL, lines, parse};

/// A mistake: what of [`SMALL`] is replaced by what, and then what the only line about it begins with, and holds.
#[rustfmt::skip]
const MISTAKES: &[(&str, &str, &str, &str)] = &[
    // Keys
    ("servers:", "servrs:", "6:9 stacks.s.services.a.servrs | unknown key `servrs`", "did you mean `servers`?"),
    ("rule:", "Rule:", "5:9 stacks.s.services.a.Rule | unknown key", "did you mean `rule`?"),
    ("stacks:", "stack:", "1:1 stack | unknown key", "did you mean `stacks`?"),
    ("    services:", "    drain: 10m\n    services:", "3:5 stacks.s.drain | unknown key", "known here are `analysis`, `checks`"),
    ("        servers:", "        rule: x\n        servers:", "6:9 stacks.s.services.a.rule | the key `rule` is given twice", "keep one"),
    ("        rule: Host(`a`)\n", "", "4:7 stacks.s.services.a.rule | the key `rule` is missing", "Host("),
    ("          blue", "          gren: http://x\n          blue", "7:11 stacks.s.services.a.servers.gren | `gren` is not a color of this stack", "did you mean `green`?"),
    ("          green: http://127.0.0.1:2\n", "", "6:9 stacks.s.services.a.servers.green | the color `green` has no servers", "flip"),
    ("green:", "gren:", "8:11 stacks.s.services.a.servers.gren | `gren` is not a color", "`green`"),
    ("        servers:", "        middlewares: [a]\n        servers:", "6:9 stacks.s.services.a.middlewares | unknown key", "it belongs in `router`: `router: { middlewares: … }`"),
    ("        servers:", "        entryPoints: [a]\n        servers:", "6:9 stacks.s.services.a.entryPoints | unknown key", "`router: { entryPoints"),
    ("        servers:", "        containers: { blue: a }\n        servers:", "6:9 stacks.s.services.a.containers | unknown key", "it belongs in a stack"),
    ("    services:", "    marker: 5\n    services:", "3:5 stacks.s.marker | unknown key", "at the top"),
    ("    services:", "    health: /\n    services:", "3:5 stacks.s.health | unknown key", "it belongs in a service"),
    ("stacks:", "services: 5\nstacks:", "1:1 services | unknown key", "it belongs in a stack"),
    ("        servers:", "        production: { host: 'http://a' }\n        servers:", "6:29 stacks.s.services.a.production.host | this can't be a host", "`shop.example.com`"),
    ("        servers:", "        production: { path: x }\n        servers:", "6:29 stacks.s.services.a.production.path | the path does not begin with `/`", "/health"),
    ("        servers:", "        production: { url: [a] }\n        servers:", "6:29 stacks.s.services.a.production.url[0] | `a` is a URL without a scheme", "http://"),
    ("    services:", "    colorHeader: 'X Color'\n    services:", "3:18 stacks.s.colorHeader | this can't be the name of a header", "`X-Color`"),
    // Types
    ("Host(`a`)", "[a]", "5:15 stacks.s.services.a.rule | expected a text, found a list", ""),
    ("Host(`a`)", "5", "5:15 stacks.s.services.a.rule | expected a text, found the number `5`", "quote it: `\"5\"`"),
    ("Host(`a`)", "", "5:9 stacks.s.services.a.rule | expected a text, found nothing", "give it a value"),
    ("Host(`a`)", "''", "5:15 stacks.s.services.a.rule | the rule is empty", "Host("),
    ("http://127.0.0.1:1", "{}", "7:17 stacks.s.services.a.servers.blue | expected a URL such as", ""),
    ("http://127.0.0.1:1", "[]", "7:11 stacks.s.services.a.servers.blue | this needs at least 1, and has 0", "add"),
    ("    services:", "    entryPoints: web\n    services:", "3:18 stacks.s.entryPoints | expected a list, found `web`", "make it a list: `[web]`"),
    ("stacks:", "lenient: yes\nstacks:", "1:10 lenient | expected `true` or `false`, found `yes`", "YAML 1.2"),
    ("stacks:", "lenient: \"true\"\nstacks:", "1:10 lenient | expected `true` or `false`", "remove the quotes"),
    ("stacks:", "marker: {entryPoint: t, port: 99999}\nstacks:", "1:31 marker.port | expected a whole number from 1 to 65535, found the number `99999`", ""),
    ("stacks:", "marker: {entryPoint: t}\nstacks:", "1:1 marker.port | the key `port` is missing", "TCP port"),
    ("stacks:", "defaultCertificate: own\nstacks:", "1:21 defaultCertificate | expected `generated`, found `own`", ""),
    // Values
    ("http://127.0.0.1:1", "127.0.0.1:1", "7:17 stacks.s.services.a.servers.blue | `127.0.0.1:1` is a URL without a scheme", "begin it with `http://`"),
    ("http://127.0.0.1:1", "http://a/b", "7:17 stacks.s.services.a.servers.blue | `http://a/b` is a URL with a path", "addPrefix"),
    ("http://127.0.0.1:1", "[http://a, http://a/]", "7:28 stacks.s.services.a.servers.blue[1] | this server is listed twice", "remove"),
    ("http://127.0.0.1:1", "a@http", "7:17 stacks.s.services.a.servers.blue | the HTTP service `a@http` does not exist", "this document has `s-a-green`"),
    ("http://127.0.0.1:1", "s-a-gren@http", "7:17 stacks.s.services.a.servers.blue | the HTTP service", "did you mean `s-a-green@http`?"),
    ("http://127.0.0.1:1", "'@docker'", "7:17 stacks.s.services.a.servers.blue | `@docker` is neither a URL", "api@docker"),
    ("Host(`a`)", "Host(`a`, `b`) && Path(`/`)", "5:15 stacks.s.services.a.rule | `Host` is written as for Traefik 2 here", "for Traefik 3 write (Host(`a`) || Host(`b`)) && Path(`/`)"),
    ("Host(`a`)", "Host(`a`) && HostRegexp(`{x:.+}`)", "5:28 stacks.s.services.a.rule | `HostRegexp` is written as for Traefik 2 here", "HostRegexp(`^.+$`); or keep it, with `ruleSyntax: v2`"),
    ("Host(`a`)", "Hosts(`a`)", "5:15 stacks.s.services.a.rule | `Hosts` is no matcher of Traefik's", "did you mean `Host`"),
    ("Host(`a`)", "Host(`a`", "5:19 stacks.s.services.a.rule | this `(` is not closed", "404"),
    ("Host(`a`)", "'Host(`a)'", "5:21 stacks.s.services.a.rule | this backtick is not closed", "404"),
    ("        servers:", "        health: health\n        servers:", "6:17 stacks.s.services.a.health | the health path does not begin", "/health"),
    ("    services:", "    production: ftp://x\n    services:", "3:17 stacks.s.production | `ftp://x` is neither", "supported"),
    ("    services:", "    colors: [blue]\n    services:", "3:5 stacks.s.colors | this needs at least 2, and has 1", "add"),
    ("    services:", "    colors: [blue, green, blue]\n    services:", "3:27 stacks.s.colors[2] | the color `blue` is named twice", "remove"),
    ("    services:", "    colors: [blue, green, -x]\n    services:", "3:27 stacks.s.colors[2] | `-x` can't be a color", "letters"),
    ("    services:", "    colors: [blue, green, red]\n    services:", "7:9 stacks.s.services.a.servers.red | the color `red` has no servers", "flip"),
    ("    services:", "    containers: {bleu: x}\n    services:", "3:18 stacks.s.containers.bleu | `bleu` is not a color", "`blue`"),
    ("    services:", "    key: ''\n    services:", "3:10 stacks.s.key | this is empty", "white space"),
    ("    services:", "    key: 'a b'\n    services:", "3:10 stacks.s.key | white space", "white space"),
    ("  s:", "  s@x:", "2:3 stacks.s@x | `s@x` can't be a name", "letters"),
    ("      a:", "      a b:", "4:7 stacks.s.services.\"a b\" | `a b` can't be a name", "letters"),
    // Verbatim parts
    ("        servers:", "        router: {rule: x}\n        servers:", "6:18 stacks.s.services.a.router.rule | `rule` can't be given here", "generates"),
    ("        servers:", "        router: {prioriti: 5}\n        servers:", "6:18 stacks.s.services.a.router.prioriti | Traefik 3.7 does not know the field `prioriti`", "did you mean `priority`? (for a newer Traefik, `lenient: true`"),
    ("        servers:", "        router: {priority: high}\n        servers:", "6:28 stacks.s.services.a.router.priority | expected a whole number, found `high`", ""),
    ("        servers:", "        router: {middlewares: [zip]}\n        servers:", "6:32 stacks.s.services.a.router.middlewares[0] | the HTTP middleware `zip` does not exist", "define it below `traefik`"),
    ("        servers:", "        router: {tls: {options: modern}}\n        servers:", "6:33 stacks.s.services.a.router.tls.options | the TLS options `modern` does not exist", ""),
    ("        servers:", "        loadBalancer: {servers: []}\n        servers:", "6:24 stacks.s.services.a.loadBalancer.servers | `servers` can't be given", "generates"),
    ("        servers:", "        loadBalancer: {serversTransport: t}\n        servers:", "6:42 stacks.s.services.a.loadBalancer.serversTransport | the HTTP servers transport `t` does not exist", ""),
    ("        servers:", "        loadBalancer: {healthCheck: {interval: 5 s}}\n        servers:", "6:48 stacks.s.services.a.loadBalancer.healthCheck.interval | expected a duration such as `10s`", ""),
    ("stacks:", "traefik: {http: {}}\nstacks:", "1:11 traefik.http | an empty mapping here makes Traefik refuse", "remove"),
    ("stacks:", "traefik: {http: {routers: {x: {rule: Host(`x`), service: s-a-gren}}}}\nstacks:", "1:58 traefik.http.routers.x.service | the HTTP service `s-a-gren` does not exist", "did you mean `s-a-green`?"),
    ("stacks:", "traefik: {http: {routers: {bluegreen-marker: {rule: Host(`x`), service: s-a-green}}}}\nstacks:", "1:28 traefik.http.routers.bluegreen-marker | the router `bluegreen-marker` is one that bluegreen makes", "rename"),
    ("stacks:", "traefik: {http: {services: {s-a-blue: {loadBalancer: {servers: [{url: http://x}]}}}}}\nstacks:", "5:7 stacks.s.services.a | the service `s-a-blue` that is generated for this exists already, as `traefik.http.services.s-a-blue`", "rename"),
    ("stacks:", "defaultCertificate: generated\ntraefik: {tls: {stores: {default: {defaultCertificate: {certFile: a, keyFile: b}}}}}\nstacks:", "2:36 traefik.tls.stores.default.defaultCertificate | the default certificate is given here and generated too", "remove"),
    // Variables and YAML
    ("Host(`a`)", "Host(`${NONE}`)", "5:21 stacks.s.services.a.rule | the environment variable `NONE` is not set", "${NONE:-default}"),
    ("Host(`a`)", "Host(`${HOST`)", "5:21 stacks.s.services.a.rule | `${` has no closing `}`", "$${"),
    ("Host(`a`)", "!foo x", "5:20 stacks.s.services.a.rule | the tag `foo` means nothing here", "remove"),
    ("Host(`a`)", "*gone", "5:15  | this is not YAML:", ""),
    ("    services:", "\tservices:", "3:2  | this is not YAML: tab", "indent with spaces"),
    ("    services:", "    ? [x]\n    : 1\n    services:", "3:7 stacks.s.\"?\" | a mapping or a list can't be a key", "text"),
    ("    services:", "    <<: 5\n    services:", "3:9 stacks.s.<< | only a mapping", "anchor"),
];

#[test]
fn each_mistake_is_told_once_with_its_place_key_and_hint() {
    let mut wrong = Vec::new();
    for (from, to, start, hint) in MISTAKES {
        assert!(SMALL.contains(from), "{from}");
        let text = SMALL.replacen(from, to, 1);
        let told = match parse(&text) {
            Ok(_) => vec!["loaded".to_owned()],
            Err(report) => lines(&report),
        };
        let fits = |line: &String| line.starts_with(start) && line.contains(hint);
        if told.len() != 1 || !told.iter().all(fits) {
            wrong.push(format!(
                "{to:?}\n  wanted {start} … {hint}\n  got    {}",
                told.join("\n         ")
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        MISTAKES.len(),
        wrong.join("\n")
    );
}
