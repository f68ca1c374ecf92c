//! Access: requests are admitted or refused here before any handler runs.

use std::fmt;

use http::header::ORIGIN;
use http::{Extensions, HeaderMap, Method, Uri, Version};
use tintype_http::{Peer, Refused};

use crate::auth::{Auth, Credential, Missing};
use crate::error::{Error, NOTHING_HERE, Result};
use crate::guard::{self, Provenance};
use crate::route::{Callers, Class, Needs};

/// The callers that may use the API, and the way in which that is decided.
#[derive(Clone)]
pub enum Access {
    /// This server is asked directly, and decides by itself: holders of the token, or of a session that was opened
    /// with it. Deliveries and health checks are for everybody.
    ///
    /// Browsers can be made to send requests here, with cookies that they add by themselves, so the `Host` has to be
    /// known and writes must not come from pages of others.
    Token {
        /// The token that the API, the pages and the metrics ask for. When it is empty nobody gets in.
        admin_token: String,
        /// This server as clients see it, `https://host[:port][/path]`; none takes `http://` and the request's
        /// `Host`.
        public_url: Option<String>,
        /// Hosts to answer for besides loopback and `public_url`, each with or without a port.
        allowed_hosts: Vec<String>,
    },
    /// A gateway in front decides, and vouches for each request that it lets through with an [`Authorized`] among the
    /// request's extensions. Everything else is refused with a 403, whatever it carries. The API and health checks
    /// are served; pages, metrics and deliveries are not.
    ///
    /// `Host` and origin are not checked. Both guard credentials that a browser adds by itself, and there are none
    /// here: gateways take a signature or a token that the page's own script has to send, and no cookie is read. Under
    /// which names requests arrive, and which origins may read answers, is the gateway's configuration.
    Gateway {
        /// The address at which pictures are delivered, `https://host[/path]`: what generated URLs start with.
        public_url: String,
    },
}

impl fmt::Debug for Access {
    /// Leaves out the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token {
                public_url,
                allowed_hosts,
                ..
            } => f
                .debug_struct("Token")
                .field("public_url", public_url)
                .field("allowed_hosts", allowed_hosts)
                .finish_non_exhaustive(),
            Self::Gateway { public_url } => {
                f.debug_struct("Gateway").field("public_url", public_url).finish()
            }
        }
    }
}

/// A mark on a request that the gateway in front let through. It goes into the request's extensions, which no client can send: only
/// the code that takes requests from the gateway can put it there.
#[derive(Clone, Copy, Debug)]
pub struct Authorized;

/// The caller, as far as the request proves who it is. Handlers find it among the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Principal {
    /// A caller of a route that asks for no proof.
    Anybody,
    /// A holder of the admin token.
    Token,
    /// A browser with a session.
    Session,
    /// A caller for whom the gateway in front vouches.
    Gateway,
}

impl Principal {
    /// The word used in logs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Anybody => "anybody",
            Self::Token => "token",
            Self::Session => "session",
            Self::Gateway => "gateway",
        }
    }
}

/// The needs of a route, and the parts of a request that decide whether it reaches it.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub needs: Needs,
    pub method: &'a Method,
    pub version: Version,
    pub uri: &'a Uri,
    pub headers: &'a HeaderMap,
    pub extensions: &'a Extensions,
}

/// Lets a request through that is meant for this server and comes from a caller that the route is for. Returns that
/// caller.
pub(crate) fn admit(access: &Access, auth: &Auth, asked: &Asked<'_>) -> Result<Principal> {
    match access {
        Access::Token {
            public_url,
            allowed_hosts,
            ..
        } => admit_directly(public_url.as_deref(), allowed_hosts, auth, asked),
        Access::Gateway { .. } => admit_vouched_for(asked),
    }
}

fn admit_vouched_for(asked: &Asked<'_>) -> Result<Principal> {
    if asked.extensions.get::<Authorized>().is_none() {
        return Err(Error::Forbidden);
    }
    match asked.needs.class {
        Class::Api | Class::Health => Ok(Principal::Gateway),
        Class::Delivery | Class::Admin | Class::Metrics | Class::Other => Err(Error::NotFound(NOTHING_HERE)),
    }
}

fn admit_directly(
    public_url: Option<&str>,
    allowed_hosts: &[String],
    auth: &Auth,
    asked: &Asked<'_>,
) -> Result<Principal> {
    if !guard::names_its_host(asked.version, asked.uri, asked.headers) {
        return Err(Error::BadHost);
    }
    let needs_credential = match asked.needs.callers {
        Callers::Everybody => return Ok(Principal::Anybody),
        Callers::Visitors => false,
        Callers::Admins => true,
    };
    let host = guard::request_host(asked.uri, asked.headers)?;
    if !guard::host_allowed(host, public_url, allowed_hosts) {
        return Err(Error::MisdirectedHost(host.to_owned()));
    }
    let writes = !guard::is_safe(asked.method);
    let provenance = guard::provenance(asked.headers, host, public_url);
    if writes && provenance == Provenance::Foreign {
        return Err(Error::CrossOrigin);
    }
    if !needs_credential {
        return Ok(Principal::Anybody);
    }
    match auth.credential(asked.headers)? {
        Credential::Token => Ok(Principal::Token),
        // The browser adds the cookie by itself, so the page that asked has to be known.
        Credential::Session if writes && provenance != Provenance::Own => Err(Error::CrossOrigin),
        Credential::Session => Ok(Principal::Session),
    }
}

/// Logs a refusal of something that was presented: a credential, an origin or a name of this server. Requests that
/// present nothing are not logged.
pub(crate) fn log_refusal(error: &Error, asked: &Asked<'_>) {
    let origin = || asked.headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    let (reason, presented) = if let Error::Unauthorized(Missing::WrongToken) = error {
        ("the bearer token is another one", None)
    } else if let Error::Unauthorized(Missing::ClosedSession) = error {
        ("the session is not open", None)
    } else if let Error::CrossOrigin = error {
        ("the write comes from another origin", origin())
    } else if let Error::MisdirectedHost(host) = error {
        ("the Host is not one of this server's", Some(host.as_str()))
    } else {
        return;
    };
    Refused {
        part: asked.needs.class.name(),
        reason,
        presented,
        peer: asked.extensions.get().map(|Peer(address)| *address),
    }
    .log();
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::{AUTHORIZATION, COOKIE, HOST};

    use super::*;

    fn headers(pairs: &[(http::HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn admitted(access: &Access, auth: &Auth, callers: Callers, headers: &HeaderMap) -> Result<Principal> {
        let mut extensions = Extensions::new();
        if matches!(access, Access::Gateway { .. }) {
            extensions.insert(Authorized);
        }
        let asked = Asked {
            needs: Needs::new(Class::Api, callers),
            method: &Method::GET,
            version: Version::HTTP_11,
            uri: &Uri::from_static("/api/v1/images"),
            headers,
            extensions: &extensions,
        };
        admit(access, auth, &asked)
    }

    #[test]
    fn handlers_are_told_who_asks() {
        let auth = Auth::new("secret", None);
        let direct = Access::Token {
            admin_token: "secret".to_owned(),
            public_url: None,
            allowed_hosts: Vec::new(),
        };
        let cookie = auth.open_session(&HeaderMap::new());
        let session = cookie.to_str().unwrap().split(';').next().unwrap();
        let here = (HOST, "localhost");
        let bearer = headers(&[here.clone(), (AUTHORIZATION, "Bearer secret")]);
        let browser = headers(&[here.clone(), (COOKIE, session)]);
        let nobody = headers(&[here]);
        for (callers, headers, expected) in [
            (Callers::Admins, &bearer, Some(Principal::Token)),
            (Callers::Admins, &browser, Some(Principal::Session)),
            (Callers::Admins, &nobody, None),
            (Callers::Visitors, &nobody, Some(Principal::Anybody)),
            (Callers::Everybody, &bearer, Some(Principal::Anybody)),
        ] {
            let principal = admitted(&direct, &auth, callers, headers).ok();
            assert_eq!(principal, expected, "{callers:?} {headers:?}");
        }
        let gateway = Access::Gateway {
            public_url: String::new(),
        };
        let principal = admitted(&gateway, &Auth::nobody(), Callers::Admins, &nobody).ok();
        assert_eq!(principal, Some(Principal::Gateway));
    }
}
