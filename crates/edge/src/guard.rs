//! Checks that a request was meant for this server: the `Host` that it names and the origin that it comes from.
//!
//! A page of another site can make a browser send requests to a server on the same machine, under a name of that
//! site if its DNS answers with a loopback address (DNS rebinding), so both are checked, on loopback too.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, Method, Uri, Version};

use crate::error::{Error, Result};

const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// Checks that a request names its host as RFC 9112 section 3.2 asks: one well-formed `Host`, which only HTTP/1.1 has to
/// send, and an `http` or `https` target where the target is an absolute URL.
#[must_use]
pub fn names_its_host(version: Version, uri: &Uri, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let header = match (hosts.next(), hosts.next()) {
        (None, _) => version != Version::HTTP_11,
        (Some(host), None) => host.to_str().is_ok_and(is_host_and_port),
        (Some(_), Some(_)) => false,
    };
    let scheme = uri
        .scheme_str()
        .is_none_or(|scheme| matches!(scheme, "http" | "https"));
    header
        && scheme
        && uri
            .authority()
            .is_none_or(|authority| is_host_and_port(authority.as_str()))
}

/// `uri-host [ ":" port ]` (RFC 9110 section 7.2, RFC 3986 section 3.2) with a host, which `http` and `https` need.
fn is_host_and_port(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(literal) => match literal.split_once(']') {
            Some((address, rest)) if address.parse::<Ipv6Addr>().is_ok() => ("[]", rest),
            Some(_) | None => return false,
        },
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let port_is_sound = match port.strip_prefix(':') {
        Some(port) => port.is_empty() || is_port(port),
        None => port.is_empty(),
    };
    !host.is_empty() && port_is_sound && (host == "[]" || is_reg_name(host))
}

/// `reg-name` of RFC 3986 section 3.2.2, which IPv4 addresses are too.
fn is_reg_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let is_sound = match byte {
            b'%' => {
                let mut digit = || bytes.next().is_some_and(|digit| digit.is_ascii_hexdigit());
                digit() && digit()
            }
            _ => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte),
        };
        if !is_sound {
            return false;
        }
    }
    true
}

/// Checks that a server may answer for `host`, the value of a `Host` header: a loopback name or address, the host of
/// `public_url`, or one of `allowed_hosts`, in any letter case. Ports are compared only where `allowed_hosts` names
/// one: rebinding changes what a name means, not the port.
#[must_use]
pub fn host_allowed(host: &str, public_url: Option<&str>, allowed_hosts: &[String]) -> bool {
    let Some(authority) = parse_authority(host) else {
        return false;
    };
    let name = authority.host();
    let same_name = |other: &Authority| other.host().eq_ignore_ascii_case(name);
    is_loopback(name)
        || public_url.and_then(authority_of).as_ref().is_some_and(same_name)
        || allowed_hosts
            .iter()
            .filter_map(|allowed| parse_authority(allowed))
            .any(|allowed| {
                same_name(&allowed)
                    && (allowed.port_u16().is_none() || allowed.port_u16() == authority.port_u16())
            })
}

/// Checks that a request that changes something comes, by its `Origin` and `Sec-Fetch-Site`, from the origin
/// of `host` or of `public_url`, or no browser at all.
#[must_use]
pub fn write_allowed(headers: &HeaderMap, host: &str, public_url: Option<&str>) -> bool {
    match provenance(headers, host, public_url) {
        Provenance::Own | Provenance::Unsaid => true,
        Provenance::Foreign => false,
    }
}

/// The origin of a request as a browser states it, the most trusted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Provenance {
    /// A page of this server.
    Own,
    /// No page, or a client that does not say.
    Unsaid,
    /// A page of another origin.
    Foreign,
}

/// The origin of a request: as `Sec-Fetch-Site` says where the browser sends it, else as `Origin` says.
///
/// `Sec-Fetch-Site` is set by the browser alone and takes redirects into account. `Origin` is `null` on a page's own
/// form too, where that page has the policy `no-referrer`; but browsers send no `Sec-Fetch-Site` to a server that they
/// reach by plain HTTP under another name than a loopback one.
pub(crate) fn provenance(headers: &HeaderMap, host: &str, public_url: Option<&str>) -> Provenance {
    let sites = headers
        .get_all(SEC_FETCH_SITE)
        .iter()
        .map(|site| match site.as_bytes() {
            b"same-origin" => Provenance::Own,
            b"none" => Provenance::Unsaid,
            // Another port of the same machine is the same site, so it is no better than another site.
            _ => Provenance::Foreign,
        });
    let origins = headers.get_all(ORIGIN).iter().map(|origin| {
        let is_own = |origin| is_own_origin(origin, host, public_url);
        if origin.to_str().is_ok_and(is_own) {
            Provenance::Own
        } else {
            Provenance::Foreign
        }
    });
    // The least trusted of several.
    sites.max().or(origins.max()).unwrap_or(Provenance::Unsaid)
}

/// Methods that cannot change anything (RFC 9110 section 9.2.1), as far as this server knows them.
pub(crate) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// The host that a request names: in its target (HTTP/2, or absolute form) or its only `Host` header (RFC 9112
/// section 3.2).
pub(crate) fn request_host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Result<&'a str> {
    if let Some(authority) = uri.authority() {
        return Ok(authority.as_str());
    }
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().map_err(|_| Error::BadHost),
        (None, _) | (Some(_), Some(_)) => Err(Error::BadHost),
    }
}

fn is_own_origin(origin: &str, host: &str, public_url: Option<&str>) -> bool {
    let Some(origin) = parse_origin(origin) else {
        return false;
    };
    let of_host = parse_authority(host).map(|host| {
        let port = host.port_u16().or(default_port(origin.scheme));
        (host.host().to_ascii_lowercase(), port)
    });
    // A proxy may speak TLS for this server, so that the scheme of the host is not known.
    if of_host.is_some_and(|(name, port)| name == origin.name && port == origin.port) {
        return true;
    }
    public_url
        .and_then(parse_origin)
        .is_some_and(|public| public == origin)
}

#[derive(PartialEq, Eq)]
struct Origin {
    scheme: &'static str,
    name: String,
    port: Option<u16>,
}

fn parse_origin(url: &str) -> Option<Origin> {
    let uri: Uri = url.parse().ok()?;
    let scheme = match uri.scheme_str()? {
        "http" => "http",
        "https" => "https",
        _ => return None,
    };
    let authority = parse_authority(uri.authority()?.as_str())?;
    Some(Origin {
        scheme,
        name: authority.host().to_ascii_lowercase(),
        port: authority.port_u16().or(default_port(scheme)),
    })
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

fn authority_of(url: &str) -> Option<Authority> {
    let uri: Uri = url.parse().ok()?;
    parse_authority(uri.authority()?.as_str())
}

/// A host with an optional port, and nothing that URLs allow besides.
fn parse_authority(text: &str) -> Option<Authority> {
    let authority: Authority = text.parse().ok()?;
    let rest = text.strip_prefix(authority.host())?;
    let port_is_sound = rest.is_empty() || authority.port_u16().is_some();
    (port_is_sound && !authority.host().is_empty()).then_some(authority)
}

fn is_loopback(name: &str) -> bool {
    let bracketed = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    name.eq_ignore_ascii_case("localhost")
        || name.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback())
        || bracketed
            .and_then(|name| name.parse().ok())
            .is_some_and(|address: Ipv6Addr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn hosts_are_loopback_public_or_listed() {
        let listed = ["cdn.example".to_owned(), "lan.example:8080".to_owned()];
        let allowed = |host: &str| host_allowed(host, Some("https://img.example/base"), &listed);
        for host in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1",
            "127.0.0.1:8080",
            "[::1]",
            "[::1]:8080",
            "img.example",
            "IMG.example:443",
            "cdn.example",
            "cdn.example:9",
            "lan.example:8080",
        ] {
            assert!(allowed(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evil.example:80",
            "localhost@evil.example",
            "evil.example@localhost",
            "localhost:",
            "localhost:99999",
            "localhost:80:80",
            "localhost/",
            "lan.example",
            "lan.example:80",
            "[::2]",
            "::1",
            "0.0.0.0",
            "192.168.0.1",
            "xcdn.example",
            "localhost.",
            " localhost",
        ] {
            assert!(!allowed(host), "{host}");
        }
        assert!(!host_allowed("img.example", None, &[]));
    }

    fn from(origin: Option<&str>, site: Option<&str>) -> Provenance {
        let mut headers = HeaderMap::new();
        if let Some(origin) = origin {
            headers.insert(ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        if let Some(site) = site {
            headers.insert("sec-fetch-site", HeaderValue::from_str(site).unwrap());
        }
        provenance(&headers, "localhost:8080", Some("https://img.example"))
    }

    #[test]
    fn writes_come_from_this_origin_or_from_no_page() {
        let cases = [
            (None, None, Provenance::Unsaid),
            (None, Some("none"), Provenance::Unsaid),
            (None, Some("same-origin"), Provenance::Own),
            (None, Some("same-site"), Provenance::Foreign),
            (None, Some("cross-site"), Provenance::Foreign),
            (Some("http://localhost:8080"), None, Provenance::Own),
            (
                Some("http://LOCALHOST:8080"),
                Some("same-origin"),
                Provenance::Own,
            ),
            (
                Some("http://localhost:8080"),
                Some("cross-site"),
                Provenance::Foreign,
            ),
            (Some("http://localhost"), None, Provenance::Foreign),
            (
                Some("http://localhost:3000"),
                Some("same-site"),
                Provenance::Foreign,
            ),
            (Some("https://img.example"), None, Provenance::Own),
            (Some("https://img.example:443"), None, Provenance::Own),
            (Some("http://img.example"), None, Provenance::Foreign),
            (Some("https://evil.example"), None, Provenance::Foreign),
            (Some("null"), None, Provenance::Foreign),
            // A form of a page with the policy `no-referrer`.
            (Some("null"), Some("same-origin"), Provenance::Own),
            (Some("null"), Some("none"), Provenance::Unsaid),
            (Some("null"), Some("same-site"), Provenance::Foreign),
            (Some("null"), Some("cross-site"), Provenance::Foreign),
            // A proxy that passes on its own name as Host.
            (
                Some("https://other.example"),
                Some("same-origin"),
                Provenance::Own,
            ),
            (Some("http://localhost:8080"), Some(""), Provenance::Foreign),
            (
                Some("http://localhost:8080"),
                Some("same-origin, cross-site"),
                Provenance::Foreign,
            ),
            (Some(""), None, Provenance::Foreign),
            (Some("ftp://localhost:8080"), None, Provenance::Foreign),
        ];
        for (origin, site, expected) in cases {
            assert_eq!(from(origin, site), expected, "{origin:?} {site:?}");
        }
    }

    #[test]
    fn of_several_answers_the_least_trusted_counts() {
        let mut headers = HeaderMap::new();
        for (site, expected) in [
            ("same-origin", Provenance::Own),
            ("none", Provenance::Unsaid),
            ("cross-site", Provenance::Foreign),
            ("same-origin", Provenance::Foreign),
        ] {
            headers.append(SEC_FETCH_SITE, HeaderValue::from_static(site));
            assert_eq!(provenance(&headers, "localhost", None), expected, "{headers:?}");
        }
    }

    #[test]
    fn hosts_are_named_once_and_well() {
        let names = |version, uri: &str, hosts: &[&str]| {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(HOST, HeaderValue::from_bytes(host.as_bytes()).unwrap());
            }
            names_its_host(version, &uri.parse().unwrap(), &headers)
        };
        for host in [
            "localhost",
            "a",
            "127.0.0.1:8080",
            "[::1]",
            "[::1]:8080",
            "a_b.example",
            "xn--bcher-kva.example",
            "a%20b",
            "localhost:",
            "localhost.",
        ] {
            assert!(names(Version::HTTP_11, "/", &[host]), "{host}");
        }
        for host in [
            "", " ", ":80", "a b", "a, b", "a/", "a/b", "http://a", "user@a", "a:b", "a:99999", "a:-1",
            "a:+1", "a:80:80", "::1", "[::1", "[::1]x", "[::1]:x", "[a]", "[]", "a%2", "a%zz", "a?b", "a#b",
            "<a>", "ä",
        ] {
            assert!(!names(Version::HTTP_11, "/", &[host]), "{host}");
            assert!(!names(Version::HTTP_11, "http://localhost/", &[host]), "{host}");
        }
        assert!(!names(Version::HTTP_11, "/", &[]));
        assert!(!names(Version::HTTP_11, "http://localhost/", &[]));
        assert!(!names(Version::HTTP_11, "/", &["localhost", "localhost"]));
        assert!(names(Version::HTTP_10, "/", &[]));
        assert!(!names(Version::HTTP_10, "/", &["a", "a"]));
        assert!(names(Version::HTTP_2, "http://localhost/", &[]));
        assert!(names(Version::HTTP_11, "http://a/", &["b"]));
        assert!(!names(Version::HTTP_11, "http://user@a/", &["a"]));
        assert!(!names(Version::HTTP_11, "ftp://a/", &["a"]));
    }
}
