//! Who may use the API and the pages: holders of the admin token, or of a session that was opened with it.
//!
//! Sessions are signed, not stored: every process that knows the token honours them, and a new token ends them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderValue};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const COOKIE_NAME: &str = "tintype_session";

/// How long a session lasts.
const SESSION: Duration = Duration::from_hours(12);

/// What a request proved to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    /// The admin token, which no browser sends by itself.
    Token,
    /// A session cookie, which browsers send by themselves.
    Session,
}

pub(crate) struct Auth {
    /// Digest of the token, so that comparing takes the same time for every length; none when no token is set, in
    /// which case nobody gets in.
    token: Option<[u8; 32]>,
    session_key: [u8; 32],
    secure: bool,
}

impl Auth {
    pub(crate) fn new(admin_token: &str, public_url: Option<&str>) -> Self {
        let mut key = Sha256::new();
        key.update(b"tintype session key\0");
        key.update(admin_token);
        Self {
            token: (!admin_token.is_empty()).then(|| Sha256::digest(admin_token).into()),
            session_key: key.finalize().into(),
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

    pub(crate) fn credential(&self, headers: &HeaderMap) -> Option<Credential> {
        let bearer = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(bearer);
        if bearer.is_some_and(|token| self.is_token(token)) {
            return Some(Credential::Token);
        }
        let now = SystemTime::now();
        let cookies = headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok());
        let mut values = cookies
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        values
            .any(|(name, value)| name == COOKIE_NAME && self.is_session(value, now))
            .then_some(Credential::Session)
    }

    /// `{expiry in seconds}.{nonce}.{HMAC-SHA256 of both}`.
    fn new_session(&self, now: SystemTime) -> String {
        let expires = seconds(now + SESSION);
        let claim = format!("{expires}.{}", hex::encode(rand::random::<[u8; 16]>()));
        let signature = hex::encode(self.mac(&claim).finalize().into_bytes());
        format!("{claim}.{signature}")
    }

    fn is_session(&self, value: &str, now: SystemTime) -> bool {
        let Some((claim, signature)) = value.rsplit_once('.') else {
            return false;
        };
        let Ok(signature) = hex::decode(signature) else {
            return false;
        };
        let expires = claim
            .split_once('.')
            .and_then(|(expires, _)| expires.parse::<u64>().ok());
        self.token.is_some()
            && self.mac(claim).verify_slice(&signature).is_ok()
            && expires.is_some_and(|expires| seconds(now) < expires)
    }

    fn mac(&self, claim: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::new_from_slice(&self.session_key).expect("HMAC takes keys of any length");
        mac.update(claim.as_bytes());
        mac
    }

    /// `Set-Cookie` that opens a session.
    pub(crate) fn open_session(&self) -> HeaderValue {
        self.cookie(&self.new_session(SystemTime::now()), SESSION)
    }

    /// `Set-Cookie` that makes the browser forget its session.
    pub(crate) fn close_session(&self) -> HeaderValue {
        self.cookie("", Duration::ZERO)
    }

    fn cookie(&self, value: &str, lasts: Duration) -> HeaderValue {
        let secure = if self.secure { "; Secure" } else { "" };
        let max_age = lasts.as_secs();
        let cookie =
            format!("{COOKIE_NAME}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age={max_age}{secure}");
        HeaderValue::from_str(&cookie).expect("a session is digits, letters and dots")
    }
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth")
            .field("secure", &self.secure)
            .finish_non_exhaustive()
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_end_and_cannot_be_forged() {
        let auth = Auth::new("secret", None);
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let session = auth.new_session(now);
        assert!(!session.contains("secret"));
        assert!(auth.is_session(&session, now));
        assert!(auth.is_session(&session, now + SESSION - Duration::from_secs(1)));
        assert!(!auth.is_session(&session, now + SESSION));
        assert!(!Auth::new("other", None).is_session(&session, now));
        for at in 0..session.len() {
            let mut forged = session.clone().into_bytes();
            forged[at] ^= 1;
            assert!(
                !auth.is_session(std::str::from_utf8(&forged).unwrap(), now),
                "byte {at}"
            );
        }
        for value in ["", ".", "..", "9999999999.x.", "9999999999"] {
            assert!(!auth.is_session(value, now), "{value}");
        }
    }

    #[test]
    fn no_token_means_nobody() {
        let auth = Auth::new("", None);
        let now = SystemTime::now();
        assert!(!auth.is_token(""));
        assert!(!auth.is_session(&auth.new_session(now), now));
    }

    #[test]
    fn cookies_are_secure_behind_https() {
        let cookie = |url| Auth::new("t", url).open_session().to_str().unwrap().to_owned();
        assert!(
            cookie(Some("https://img.example"))
                .ends_with("; HttpOnly; SameSite=Strict; Path=/; Max-Age=43200; Secure")
        );
        assert!(!cookie(Some("http://img.example")).contains("Secure"));
        assert!(!cookie(None).contains("Secure"));
    }
}
