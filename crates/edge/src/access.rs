//! Who may ask for what, decided before any handler runs.

use std::fmt;

use http::header::ORIGIN;
use http::{Extensions, HeaderMap, Method, Uri, Version};
use tintype_http::{Peer, Refused};

use crate::admin;
use crate::auth::{Auth, Credential, Missing};
use crate::error::{Error, Result};
use crate::guard::{self, Provenance};
use crate::router::{Class, NOTHING_HERE};

/// Who may use the API, and how that is known.
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
        /// Where pictures are delivered, `https://host[/path]`: what generated URLs start with.
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

/// Says that a gateway let the request through. It goes into the request's extensions, which no client can send: only
/// the code that takes requests from the gateway can put it there.
#[derive(Clone, Copy, Debug)]
pub struct Authorized;

/// The parts of a request that decide whether it is let through.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub class: Class,
    pub method: &'a Method,
    pub version: Version,
    pub uri: &'a Uri,
    pub headers: &'a HeaderMap,
    pub extensions: &'a Extensions,
}

/// Lets through what was meant for this server and may be asked by who asks.
pub(crate) fn admit(access: &Access, auth: &Auth, asked: &Asked<'_>) -> Result<()> {
    match access {
        Access::Token {
            public_url,
            allowed_hosts,
            ..
        } => admit_directly(public_url.as_deref(), allowed_hosts, auth, asked),
        Access::Gateway { .. } => admit_vouched_for(asked),
    }
}

fn admit_vouched_for(asked: &Asked<'_>) -> Result<()> {
    if asked.extensions.get::<Authorized>().is_none() {
        return Err(Error::Forbidden);
    }
    match asked.class {
        Class::Api | Class::Health => Ok(()),
        Class::Delivery | Class::Admin | Class::Metrics | Class::Other => Err(Error::NotFound(NOTHING_HERE)),
    }
}

fn admit_directly(
    public_url: Option<&str>,
    allowed_hosts: &[String],
    auth: &Auth,
    asked: &Asked<'_>,
) -> Result<()> {
    if !guard::names_its_host(asked.version, asked.uri, asked.headers) {
        return Err(Error::BadHost);
    }
    let needs_credential = match asked.class {
        Class::Delivery | Class::Health => return Ok(()),
        Class::Admin => asked.uri.path() != admin::LOGIN_PATH,
        Class::Api | Class::Metrics => true,
        Class::Other => false,
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
        return Ok(());
    }
    match auth.credential(asked.headers)? {
        Credential::Token => Ok(()),
        // The browser adds the cookie by itself, so the page that asked has to be known.
        Credential::Session if writes && provenance != Provenance::Own => Err(Error::CrossOrigin),
        Credential::Session => Ok(()),
    }
}

/// Logs a refusal of something that was presented: a credential, an origin or a name of this server. Requests that
/// present nothing are everybody's.
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
        part: asked.class.name(),
        reason,
        presented,
        peer: asked.extensions.get().map(|Peer(address)| *address),
    }
    .log();
}
