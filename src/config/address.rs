//! Addresses: what may stand where a server or Traefik itself is named.

use url::Url;

/// Why an address can't be used, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unusable {
    /// What is wrong, to be read after the address.
    pub(super) problem: &'static str,
    /// What to do about it.
    pub(super) hint: String,
}

/// Checks the URL of a server: `http`, `https` or `h2c`, a host, and perhaps a port.
///
/// Traefik takes no more of it than that: a path in it, for one, it ignores.
pub(super) fn url(text: &str) -> Result<String, Unusable> {
    let url = base(text)?;
    if !matches!(url.path(), "" | "/") {
        return Err(Unusable {
            problem: "is a URL with a path, which Traefik ignores",
            hint: "end it after the host and port; the middleware `addPrefix` adds a path"
                .to_owned(),
        });
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Checks the URL of a Prometheus, which may have a path: `http` or `https`.
pub(super) fn prometheus(text: &str) -> Result<String, Unusable> {
    without_h2c(text)?;
    base(text)?;
    Ok(text.trim_end_matches('/').to_owned())
}

/// A URL with no more than a scheme, a host, and perhaps a port and a path.
fn base(text: &str) -> Result<Url, Unusable> {
    let unusable = |problem: &'static str, hint: &str| {
        Err(Unusable {
            problem,
            hint: hint.to_owned(),
        })
    };
    let Some((scheme, _)) = text.split_once("://") else {
        let hint = "begin it with `http://` or `https://`";
        return unusable("is a URL without a scheme", hint);
    };
    // `h2c` is HTTP/2 without TLS, as gRPC servers speak it.
    if !["http", "https", "h2c"].contains(&scheme.to_ascii_lowercase().as_str()) {
        let hint = "`http`, `https` and `h2c` are what Traefik speaks";
        return unusable("is neither an `http` nor an `https` URL", hint);
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        let hint = "remove it";
        return unusable("is a URL with white space or a `\\` in it", hint);
    }
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => {
            let hint = format!("{error}; write it as in `http://127.0.0.1:8080`");
            return unusable("is a URL that can't be read", &hint);
        }
    };
    if url.port() == Some(0) {
        let hint = "give the port that the server listens on";
        return unusable("is a URL with the port 0", hint);
    }
    if text.contains('@') {
        let hint = "remove it; a middleware can add a header instead";
        return unusable("is a URL with a user or password", hint);
    }
    if url.query().is_some() || url.fragment().is_some() {
        let hint = "end it after the host and port";
        return unusable("is a URL with a query or fragment", hint);
    }
    if url.host_str().is_none_or(str::is_empty) {
        return unusable("is a URL without a host", "name the server's host");
    }
    Ok(url)
}

/// Checks the URL of Traefik's entrypoint: like that of a server, but without `h2c`, which is for servers only.
pub(super) fn entry_point(text: &str) -> Result<String, Unusable> {
    without_h2c(text)?;
    url(text)
}

fn without_h2c(text: &str) -> Result<(), Unusable> {
    if ["http://", "https://"]
        .iter()
        .any(|scheme| text.starts_with(scheme))
        || !text.contains("://")
    {
        return Ok(());
    }
    Err(Unusable {
        problem: "is neither an `http` nor an `https` URL",
        hint: "only these two are supported".to_owned(),
    })
}

/// Checks the URL of a request: `http` or `https`, a host, and whatever a path and a query may be.
pub(super) fn request(text: &str) -> Result<String, Unusable> {
    let end = match text.find("://") {
        Some(scheme) => text[scheme + 3..]
            .find(['/', '?', '#'])
            .map_or(text.len(), |end| scheme + 3 + end),
        None => text.len(),
    };
    let (server, rest) = text.split_at(end);
    let unusable = |problem, hint: &str| {
        Err(Unusable {
            problem,
            hint: hint.to_owned(),
        })
    };
    if server.contains('@') {
        let hint = "remove it; a header can say who asks: `Authorization`";
        return unusable("is a URL with a user or password", hint);
    }
    if rest.contains('#') {
        let hint = "end it after the path and the query";
        return unusable("is a URL with a fragment", hint);
    }
    entry_point(server)?;
    Ok(text.to_owned())
}

/// Checks a reference to a service of another Traefik provider: `name@provider`.
pub(super) fn reference(text: &str) -> Result<String, Unusable> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':');
    let valid = text.split_once('@').is_some_and(|(name, provider)| {
        [name, provider]
            .iter()
            .all(|part| !part.is_empty() && part.chars().all(plain))
    });
    if valid {
        return Ok(text.to_owned());
    }
    Err(Unusable {
        problem: "is neither a URL nor a service of another provider",
        hint: "write it as in `http://127.0.0.1:8080` or `api@docker`".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_scheme_a_host_and_a_port() {
        for (text, read) in [
            ("http://127.0.0.1:8091", "http://127.0.0.1:8091"),
            ("https://api.example.com/", "https://api.example.com"),
            ("http://[::1]:80", "http://[::1]:80"),
            ("h2c://127.0.0.1:50051", "h2c://127.0.0.1:50051"),
            ("HTTP://EXAMPLE.com:80", "HTTP://EXAMPLE.com:80"),
        ] {
            assert_eq!(url(text), Ok(read.to_owned()));
        }
        for (text, problem) in [
            ("127.0.0.1:80", "without a scheme"),
            ("http:/a", "without a scheme"),
            ("ftp://a", "neither an `http`"),
            ("://a", "neither"),
            ("http://", "can't be read"),
            ("http://:80", "can't be read"),
            ("http://a:99999", "can't be read"),
            ("http://a:0", "port 0"),
            ("h2c://", "without a host"),
            ("http://a b", "white space"),
            ("http://a\\b", "white space"),
            ("http://user@a", "user or password"),
            ("http://@a", "user or password"),
            ("http://a?b", "query"),
            ("http://a#b", "query or fragment"),
            ("http://a/b", "path"),
            ("http:///a/b", "path"),
        ] {
            let told = url(text).unwrap_err().problem;
            assert!(told.contains(problem), "{text}: {told}");
        }
    }

    #[test]
    fn a_prometheus_may_be_behind_a_path() {
        for (text, read) in [
            ("http://127.0.0.1:9090", "http://127.0.0.1:9090"),
            ("https://a/prometheus/", "https://a/prometheus"),
        ] {
            assert_eq!(prometheus(text), Ok(read.to_owned()));
        }
        for text in ["h2c://a", "a:9090", "http://a?b", "http://user@a"] {
            assert!(prometheus(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_request_has_a_path_and_a_query_as_well() {
        for text in [
            "https://hooks.example.com/services/T1/x@y?a=b",
            "http://[::1]:80",
            "http://a?b=http://c",
        ] {
            assert_eq!(request(text), Ok(text.to_owned()));
        }
        for (text, problem) in [
            ("hooks.example.com/x", "without a scheme"),
            ("ftp://a/x", "neither an `http`"),
            ("h2c://a/x", "neither an `http`"),
            ("http:///x", "can't be read"),
            ("http://a:0/x", "port 0"),
            ("http://a b/x", "white space"),
            ("http://me:word@a/x", "user or password"),
            ("http://a/x#y", "fragment"),
        ] {
            let told = request(text).unwrap_err().problem;
            assert!(told.contains(problem), "{text}: {told}");
        }
    }

    #[test]
    fn a_reference_names_a_service_and_its_provider() {
        assert!(reference("api-blue@docker").is_ok());
        for text in ["api", "@docker", "api@", "a@b@c", "a b@c", ""] {
            assert!(reference(text).is_err(), "{text}");
        }
    }
}
