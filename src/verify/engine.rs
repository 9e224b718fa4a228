//! The Docker engine of this host: where it is, as Docker's own command line finds it.
//!
//! That is `DOCKER_HOST`; else the context, `DOCKER_CONTEXT` or the current one of `~/.docker/config.json`; else the
//! usual socket, or that of a rootless engine.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Where the engine is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Engine {
    /// Where it listens.
    At(String),
    /// There is none; where it was looked for.
    Nowhere(String),
    /// There is one that can't be asked from here, and why.
    OutOfReach(String),
}

/// Where Docker's engine listens unless something else is said.
pub(super) const SOCKET: &str = "/var/run/docker.sock";

/// Finds it, with this environment, and this socket as the usual one.
pub(super) fn find(env: &dyn Fn(&str) -> Option<String>, usual: &str) -> Engine {
    let env = |name: &str| env(name).filter(|value| !value.is_empty());
    if let Some(host) = env("DOCKER_HOST") {
        return at(&host, env("DOCKER_TLS_VERIFY").is_some(), "DOCKER_HOST");
    }
    let folder = env("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| Some(Path::new(&env("HOME")?).join(".docker")));
    if let Some(folder) = folder {
        let current =
            || Ok(read::<Current>(&folder.join("config.json"))?.and_then(|read| read.name));
        let named = env("DOCKER_CONTEXT").map_or_else(current, |name| Ok(Some(name)));
        match named {
            Ok(Some(name)) if !matches!(&*name, "" | "default") => {
                return of_context(&folder.join("contexts"), &name)
                    .unwrap_or_else(Engine::OutOfReach);
            }
            Ok(_) => {}
            Err(why) => return Engine::OutOfReach(why),
        }
    }
    let rootless = env("XDG_RUNTIME_DIR").map(|folder| format!("{folder}/docker.sock"));
    let sockets: Vec<_> = std::iter::once(usual.to_owned()).chain(rootless).collect();
    match sockets.iter().find(|socket| Path::new(socket).exists()) {
        Some(socket) => Engine::At(format!("unix://{socket}")),
        None => Engine::Nowhere(sockets.join(", ")),
    }
}

/// The engine of a context.
fn of_context(folder: &Path, name: &str) -> Result<Engine, String> {
    let mut id = String::with_capacity(64);
    for byte in ring::digest::digest(&ring::digest::SHA256, name.as_bytes()).as_ref() {
        write!(id, "{byte:02x}").expect("writing to a string can't fail");
    }
    let path = folder.join("meta").join(&id).join("meta.json");
    let context: Context = read(&path)?
        .ok_or_else(|| format!("there is no Docker context `{name}` ({})", path.display()))?;
    let host = context.endpoints.docker.host;
    let has_keys = folder.join("tls").join(&id).join("docker").exists();
    Ok(at(&host, has_keys, &format!("the Docker context `{name}`")))
}

/// The engine at an address, which comes from there.
fn at(host: &str, tls: bool, from: &str) -> Engine {
    let out_of_reach = |why: &str| {
        Engine::OutOfReach(format!(
            "{from} names {host}, {why}: run this on the engine's host, or set DOCKER_HOST to a socket of it"
        ))
    };
    match host.split_once("://") {
        Some(("unix", path)) if !Path::new(path).exists() => Engine::Nowhere(path.to_owned()),
        Some(("unix", _)) => Engine::At(host.to_owned()),
        Some(("tcp" | "http", _)) if !tls => Engine::At(host.to_owned()),
        Some(("ssh", _)) => out_of_reach("which is reached over SSH"),
        Some(("tcp" | "http" | "https", _)) => out_of_reach("which speaks TLS"),
        _ => out_of_reach("which is not an address that is understood here"),
    }
}

/// A file of Docker's command line; none where it is not there.
fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, String> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| format!("{}: {error}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

/// `config.json`, as far as it matters here.
#[derive(Deserialize)]
struct Current {
    #[serde(rename = "currentContext")]
    name: Option<String>,
}

/// `meta.json` of a context.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Context {
    endpoints: Endpoints,
}

#[derive(Deserialize)]
struct Endpoints {
    docker: Endpoint,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Endpoint {
    host: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `shop`, as `docker context create shop` names its folder.
    const SHOP: &str = "8d9001d32c6a703d95921a77115050f33dd823d3f1730bd35215dcbecad6dc20";

    #[test]
    fn it_is_found_as_dockers_command_line_finds_it() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        let write = |path: &str, text: &str| {
            let path = home.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let socket = |name: &str| home.join(name).display().to_string();
        for name in ["usual.sock", "shop.sock", "run/docker.sock"] {
            write(name, "");
        }
        let find = |env: &[(&str, &str)], usual: &str| {
            let all = [&[("HOME", home.to_str().unwrap())], env].concat();
            let value = |name: &str| {
                let found = all.iter().find(|(one, _)| *one == name)?;
                Some(found.1.to_owned())
            };
            super::find(&value, &socket(usual))
        };
        let at = |name: &str| Engine::At(format!("unix://{}", socket(name)));
        let run = socket("run");
        let rootless = [("XDG_RUNTIME_DIR", &*run)];

        assert_eq!(find(&[], "usual.sock"), at("usual.sock"));
        assert_eq!(find(&rootless, "usual.sock"), at("usual.sock"));
        assert_eq!(find(&rootless, "none.sock"), at("run/docker.sock"));
        assert_eq!(find(&[], "none.sock"), Engine::Nowhere(socket("none.sock")));
        let host = format!("unix://{}", socket("shop.sock"));
        assert_eq!(
            find(&[("DOCKER_HOST", &host)], "usual.sock"),
            at("shop.sock")
        );
        assert_eq!(find(&[("DOCKER_HOST", "")], "usual.sock"), at("usual.sock"));
        let tcp = ("DOCKER_HOST", "tcp://10.0.0.1:2375");
        assert_eq!(find(&[tcp], "usual.sock"), Engine::At(tcp.1.to_owned()));
        for env in [
            &[("DOCKER_HOST", "ssh://shop@example.com")][..],
            &[("DOCKER_HOST", "npipe:////./pipe/docker_engine")],
            &[tcp, ("DOCKER_TLS_VERIFY", "1")],
            &[("DOCKER_CONTEXT", "none")],
        ] {
            let found = find(env, "usual.sock");
            assert!(matches!(found, Engine::OutOfReach(_)), "{env:?}: {found:?}");
        }

        let context = |host: &str| {
            format!(
                r#"{{"Name":"shop","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{host}","SkipTLSVerify":false}}}}}}"#
            )
        };
        let meta = format!(".docker/contexts/meta/{SHOP}/meta.json");
        write(&meta, &context(&host));
        assert_eq!(
            find(&[("DOCKER_CONTEXT", "shop")], "usual.sock"),
            at("shop.sock")
        );
        assert_eq!(find(&[], "usual.sock"), at("usual.sock"));
        write(
            ".docker/config.json",
            r#"{"auths":{},"currentContext":"shop"}"#,
        );
        assert_eq!(find(&[], "usual.sock"), at("shop.sock"));
        assert_eq!(
            find(&[("DOCKER_CONTEXT", "default")], "usual.sock"),
            at("usual.sock")
        );
        write(&meta, &context("ssh://shop@example.com"));
        let Engine::OutOfReach(why) = find(&[], "usual.sock") else {
            panic!("it is within reach");
        };
        assert!(
            why.contains("the Docker context `shop` names ssh://shop@example.com"),
            "{why}"
        );
        write(&meta, &context("tcp://10.0.0.1:2376"));
        write(&format!(".docker/contexts/tls/{SHOP}/docker/ca.pem"), "");
        assert!(matches!(find(&[], "usual.sock"), Engine::OutOfReach(_)));
        write(".docker/config.json", "{");
        assert!(matches!(find(&[], "usual.sock"), Engine::OutOfReach(_)));
    }
}
