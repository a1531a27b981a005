//! Sessions of browsers: a cookie that says which key somebody logged in with, signed by the farm. It is not the key: it can do nothing
//! after its time, nor after that key was revoked, and no key can be made from it.

use atelier_proto::TenantId;
use axum::http::{HeaderMap, Method, header};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::Mac;
use uuid::Uuid;

use crate::{
    farm::{Farm, Use, mac},
    store::StoreError,
};

/// How long somebody stays logged in, in seconds.
const LASTS_S: u64 = 12 * 3_600;
/// Name of the cookie.
pub const COOKIE: &str = "atelier_session";
/// Tenant, key and end, in bytes.
const PAYLOAD: usize = 16 + 16 + 8;
/// An HMAC-SHA256, in bytes.
const SIGNATURE: usize = 32;
/// What is signed begins with this, so that no signature of anything else is one of a session.
const PURPOSE: &[u8] = b"atelier session v1\0";

/// Who is logged in, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Whose requests are shown.
    pub tenant: TenantId,
    /// Id of the key that was given.
    pub key: Uuid,
    /// Seconds since 1970 at which it ends.
    pub until_s: u64,
}

/// A cookie for somebody who gave a good key.
pub async fn begin(
    farm: &Farm,
    tenant: TenantId,
    key: Uuid,
    secure: bool,
) -> Result<String, StoreError> {
    let until_s = farm.ids.now_s() + LASTS_S;
    let session = Session {
        tenant,
        key,
        until_s,
    };
    let secret = farm.secrets.of(farm, Use::Sessions).await?;
    Ok(cookie(&write(&secret, session), LASTS_S, secure))
}

/// The session that the headers carry; none when there is none, or it is not ours, or over.
pub async fn of(farm: &Farm, headers: &HeaderMap) -> Result<Option<Session>, StoreError> {
    let Some(token) = token(headers) else {
        return Ok(None);
    };
    let secret = farm.secrets.of(farm, Use::Sessions).await?;
    Ok(read(&secret, token, farm.ids.now_s()))
}

/// The cookie that ends a session.
pub fn ended(secure: bool) -> String {
    cookie("", 0, secure)
}

/// Scripts cannot read it, other sites cannot send it.
fn cookie(value: &str, age_s: u64, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{COOKIE}={value}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Strict{secure}")
}

/// Whether the browser came by HTTPS, as a proxy before the coordinator says it.
pub fn is_secure(headers: &HeaderMap) -> bool {
    let said = headers.get("x-forwarded-proto");
    let said = said.and_then(|said| said.to_str().ok()).unwrap_or("");
    let nearest_the_browser = said.split(',').next().unwrap_or("");
    nearest_the_browser.trim().eq_ignore_ascii_case("https")
}

/// Whether a call that comes with a cookie was made by our own page: those that only look may come from anywhere, since nobody else can
/// read the answer.
pub fn is_ours(method: &Method, headers: &HeaderMap) -> bool {
    if matches!(*method, Method::GET | Method::HEAD) {
        return true;
    }
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text(header::HeaderName::from_static("sec-fetch-site")) {
        return site == "same-origin";
    }
    // Browsers that do not say it send where the page is from.
    match (text(header::ORIGIN), text(header::HOST)) {
        (Some(origin), Some(host)) => origin
            .split_once("://")
            .is_some_and(|(_, from)| from.eq_ignore_ascii_case(host)),
        _ => false,
    }
}

/// The cookie's value.
pub fn token(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(header::COOKIE).into_iter();
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE).then_some(value))
}

/// A session as the cookie's value, signed with `secret`.
pub fn write(secret: &[u8; 32], session: Session) -> String {
    let mut bytes = Vec::with_capacity(PAYLOAD + SIGNATURE);
    bytes.extend(session.tenant.as_uuid().as_bytes());
    bytes.extend(session.key.as_bytes());
    bytes.extend(session.until_s.to_be_bytes());
    let signature = mac(secret, PURPOSE, &bytes).finalize().into_bytes();
    bytes.extend(signature);
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// A session that was signed with `secret` and is not over at `now_s`. Signatures are compared in constant time.
pub fn read(secret: &[u8; 32], token: &str, now_s: u64) -> Option<Session> {
    // Longer ones are not even decoded.
    if token.len() != (PAYLOAD + SIGNATURE) / 3 * 4 {
        return None;
    }
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
    let (payload, signature) = bytes.split_at_checked(PAYLOAD)?;
    mac(secret, PURPOSE, payload).verify_slice(signature).ok()?;
    let session = Session {
        tenant: TenantId::from_uuid(Uuid::from_slice(&payload[..16]).ok()?),
        key: Uuid::from_slice(&payload[16..32]).ok()?,
        until_s: u64::from_be_bytes(payload[32..].try_into().ok()?),
    };
    // One that ends later than any that begins now was made by a clock that nobody should trust.
    let lasting = now_s < session.until_s && session.until_s <= now_s + 2 * LASTS_S;
    lasting.then_some(session)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; 32] = [7; 32];

    fn session() -> Session {
        Session {
            tenant: TenantId::at(1, [1; 10]),
            key: Uuid::from_bytes([9; 16]),
            until_s: 1_000,
        }
    }

    #[test]
    fn a_session_is_read_back_until_its_end() {
        let token = write(&SECRET, session());
        assert_eq!(token.len(), 96);
        assert_eq!(read(&SECRET, &token, 999), Some(session()));
        assert_eq!(read(&SECRET, &token, 1_000), None);
        let far = Session {
            until_s: 3 * LASTS_S,
            ..session()
        };
        assert_eq!(read(&SECRET, &write(&SECRET, far), 1), None);
    }

    #[test]
    fn nothing_that_was_changed_or_signed_by_others_is_a_session() {
        let token = write(&SECRET, session());
        assert_eq!(read(&[8; 32], &token, 1), None);
        for index in 0..token.len() {
            let mut forged: Vec<u8> = token.clone().into();
            forged[index] = if forged[index] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            assert_eq!(read(&SECRET, &forged, 1), None, "{index}");
        }
        for other in ["", "a", &token[1..], &format!("{token}A"), &"=".repeat(96)] {
            assert_eq!(read(&SECRET, other, 1), None, "{other}");
        }
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let line = format!("a=b; {COOKIE}=c=d; e=f");
        let headers = HeaderMap::from_iter([(header::COOKIE, line.parse().unwrap())]);
        assert_eq!(token(&headers), Some("c=d"));
        assert_eq!(token(&HeaderMap::new()), None);
        assert!(cookie("x", 9, true).ends_with("; HttpOnly; SameSite=Strict; Secure"));
        assert!(!cookie("x", 9, false).contains("; Secure"));
    }

    #[test]
    fn only_our_own_page_may_change_things() {
        let with = |pairs: &[(&'static str, &str)]| -> HeaderMap {
            let pairs = pairs.iter();
            pairs
                .map(|(name, value)| {
                    (
                        header::HeaderName::from_static(name),
                        value.parse().unwrap(),
                    )
                })
                .collect()
        };
        let ours = [
            with(&[("sec-fetch-site", "same-origin")]),
            with(&[("origin", "http://farm:8700"), ("host", "farm:8700")]),
            with(&[("origin", "https://farm"), ("host", "Farm")]),
        ];
        let theirs = [
            with(&[]),
            with(&[("sec-fetch-site", "cross-site")]),
            with(&[("sec-fetch-site", "same-site")]),
            with(&[("sec-fetch-site", "none")]),
            with(&[
                ("sec-fetch-site", "cross-site"),
                ("origin", "http://farm"),
                ("host", "farm"),
            ]),
            with(&[("origin", "http://farm.example.org"), ("host", "farm")]),
            with(&[("origin", "null"), ("host", "farm")]),
            with(&[("host", "farm")]),
        ];
        for method in [Method::POST, Method::DELETE, Method::PUT] {
            for headers in &ours {
                assert!(is_ours(&method, headers), "{headers:?}");
            }
            for headers in &theirs {
                assert!(!is_ours(&method, headers), "{headers:?}");
            }
        }
        assert!(is_ours(&Method::GET, &theirs[1]));
    }

    #[test]
    fn https_is_what_the_proxy_nearest_the_browser_says() {
        let said = |value: &str| {
            HeaderMap::from_iter([("x-forwarded-proto".parse().unwrap(), value.parse().unwrap())])
        };
        assert!(is_secure(&said("https")) && is_secure(&said("HTTPS, http")));
        assert!(!is_secure(&said("http")) && !is_secure(&HeaderMap::new()));
    }
}
