//! The proof that a caller may use the API and the pages: holders of the admin token, or of a session that was opened with it.

use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderValue};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::session::{self, Sessions};

const COOKIE_NAME: &str = "tintype_session";

/// The kind of credential that a request proved to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    /// The admin token, which no browser sends by itself.
    Token,
    /// A session cookie, which browsers send by themselves.
    Session,
}

/// The reason why a request proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It presents no credential.
    Nothing,
    /// It presents another token.
    WrongToken,
    /// It presents a session that is not open: ended, expired or invented.
    ClosedSession,
}

pub(crate) struct Auth {
    /// Digest of the token, so that comparing takes the same time for every length; none when no token is set, in
    /// which case nobody gets in.
    token: Option<[u8; 32]>,
    sessions: Sessions,
    secure: bool,
}

impl Auth {
    pub(crate) fn new(admin_token: &str, public_url: Option<&str>) -> Self {
        Self {
            token: (!admin_token.is_empty()).then(|| Sha256::digest(admin_token).into()),
            sessions: Sessions::default(),
            secure: public_url.is_some_and(|url| url.starts_with("https://")),
        }
    }

    /// Lets nobody in.
    pub(crate) fn nobody() -> Self {
        Self::new("", None)
    }

    pub(crate) fn is_token(&self, presented: &str) -> bool {
        let presented: [u8; 32] = Sha256::digest(presented).into();
        self.token.is_some_and(|token| token.ct_eq(&presented).into())
    }

    /// The credential that a request proves to hold; a token before a session.
    pub(crate) fn credential(&self, headers: &HeaderMap) -> Result<Credential, Missing> {
        let bearer = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(bearer);
        if bearer.is_some_and(|token| self.is_token(token)) {
            return Ok(Credential::Token);
        }
        let now = Instant::now();
        let mut names = session_names(headers).peekable();
        let has_names = names.peek().is_some();
        if names.any(|name| self.sessions.is_open(name, now)) {
            return Ok(Credential::Session);
        }
        Err(match (bearer, has_names) {
            (Some(_), _) => Missing::WrongToken,
            (None, true) => Missing::ClosedSession,
            (None, false) => Missing::Nothing,
        })
    }

    /// Opens a session; the answer is the `Set-Cookie` that hands it over. A session that the browser has is ended.
    pub(crate) fn open_session(&self, headers: &HeaderMap) -> HeaderValue {
        session_names(headers).for_each(|name| self.sessions.close(name));
        self.cookie(&self.sessions.open(Instant::now()), session::LIFETIME)
    }

    /// Ends the session of a request; the answer is the `Set-Cookie` that makes the browser forget it too.
    pub(crate) fn close_session(&self, headers: &HeaderMap) -> HeaderValue {
        session_names(headers).for_each(|name| self.sessions.close(name));
        self.cookie("", Duration::ZERO)
    }

    fn cookie(&self, value: &str, lasts: Duration) -> HeaderValue {
        let secure = if self.secure { "; Secure" } else { "" };
        let max_age = lasts.as_secs();
        let cookie =
            format!("{COOKIE_NAME}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age={max_age}{secure}");
        HeaderValue::from_str(&cookie).expect("the name of a session is hexadecimal")
    }
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth")
            .field("secure", &self.secure)
            .finish_non_exhaustive()
    }
}

/// Every session that the cookies of a request name.
fn session_names(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == COOKIE_NAME)
        .map(|(_, value)| value)
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_token_means_nobody() {
        let auth = Auth::new("", None);
        assert!(!auth.is_token(""));
        assert_eq!(auth.credential(&HeaderMap::new()), Err(Missing::Nothing));
    }

    #[test]
    fn cookies_are_secure_behind_https() {
        let cookie = |url| {
            let cookie = Auth::new("t", url).open_session(&HeaderMap::new());
            cookie.to_str().unwrap().to_owned()
        };
        assert!(
            cookie(Some("https://img.example"))
                .ends_with("; HttpOnly; SameSite=Strict; Path=/; Max-Age=43200; Secure")
        );
        assert!(!cookie(Some("http://img.example")).contains("Secure"));
        assert!(!cookie(None).contains("Secure"));
    }
}
