//! `GET /v1/files/{token}`: a picture for whoever has a link to it, until the link ends. No key is asked for: the token is signed with a secret
//! that all coordinators of a farm share, and says which file, in which format, until when.

use std::{convert::Infallible, time::Duration};

use atelier_pictures::Format;
use atelier_platform::artifacts::MAX_ARTIFACT_BYTES;
use atelier_proto::{ArtifactRef, MediaType, Sha256};
use axum::{
    body::{Body, Bytes},
    extract::{Path, State, rejection::PathRejection},
    http::{Method, StatusCode, header},
    response::{AppendHeaders, IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use futures::stream;
use hmac::Mac;

use super::{
    Api,
    error::ApiError,
    file::{self, Asked},
    openai,
};
use crate::farm::{Use, mac};

/// How long a link is good.
pub const GOOD_FOR: Duration = Duration::from_secs(3_600);
/// Version of the token, digest, length, format, quality, end.
const CLAIM_BYTES: usize = 1 + 32 + 8 + 1 + 1 + 8;
/// A token is its claim and an HMAC-SHA256 of it.
const TOKEN_BYTES: usize = CLAIM_BYTES + 32;
const VERSION: u8 = 1;
/// What is signed begins with this, so that no signature of anything else is one of a link.
const PURPOSE: &[u8] = b"atelier link v1\0";

/// What a token says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Claim {
    /// The stored picture.
    pub sha256: Sha256,
    /// Its length.
    pub bytes: u64,
    /// In which format it is given out.
    pub format: Format,
    /// Seconds since 1970.
    pub until: u64,
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// It is not one of this farm.
    Forged,
    /// It was one.
    Over,
}

/// A link to a picture in a format, from where the store signs URLs or from here.
pub async fn link(
    api: &Api,
    picture: &ArtifactRef,
    format: Format,
    here: &str,
) -> Result<String, ApiError> {
    if format == Format::Png
        && let Some(url) = api.farm.artifacts.presigned(picture, GOOD_FOR).await?
    {
        return Ok(url);
    }
    let secret = api.farm.secrets.of(&api.farm, Use::Links).await?;
    let claim = Claim {
        sha256: picture.sha256,
        bytes: picture.bytes,
        format,
        until: api.farm.ids.now_s() + GOOD_FOR.as_secs(),
    };
    Ok(format!("{here}/v1/files/{}", token(&claim, &secret)))
}

/// Answers the file that the token names.
pub async fn handler(
    State(api): State<Api>,
    token: Result<Path<String>, PathRejection>,
    asked: Asked,
) -> Result<Response, ApiError> {
    let secret = api.farm.secrets.of(&api.farm, Use::Links).await?;
    let token = token.map_or_else(|_| String::new(), |Path(token)| token);
    let claim = read(&token, &secret, api.farm.ids.now_s()).map_err(refused)?;
    let picture = ArtifactRef {
        sha256: claim.sha256,
        bytes: claim.bytes,
        media_type: MediaType::Png,
    };
    if claim.format == Format::Png {
        let name = format!("atelier-{}.png", short(picture.sha256));
        return Ok(file::answer(&api.farm.artifacts, &picture, &name, &asked).await?);
    }
    converted(&api, &picture, claim.format, &asked).await
}

/// The picture in another format. That takes a processor and needs no key, so that it is done only for who has it not yet and wants the bytes.
async fn converted(
    api: &Api,
    picture: &ArtifactRef,
    format: Format,
    asked: &Asked,
) -> Result<Response, ApiError> {
    let (ending, media_type, written) = match format {
        Format::Png => ("png", "image/png", "png".to_owned()),
        Format::Jpeg { quality } => ("jpg", "image/jpeg", format!("jpeg{quality}")),
        Format::WebP => ("webp", "image/webp", "webp".to_owned()),
    };
    let tag = format!("\"{}-{written}\"", picture.sha256);
    let shared = AppendHeaders([
        (header::ETAG, tag.clone()),
        (header::CACHE_CONTROL, "private, no-cache".to_owned()),
    ]);
    if file::is_known(&asked.headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, shared).into_response());
    }
    let name = format!("atelier-{}.{ending}", short(picture.sha256));
    let described = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("inline; filename=\"{name}\""),
        ),
    ];
    if asked.method == Method::HEAD {
        // Nobody knows its length before it is made: an empty body would say 0.
        let unknown = Body::from_stream(stream::empty::<Result<Bytes, Infallible>>());
        return Ok((shared, described, unknown).into_response());
    }
    // Fetched in the turn: those that wait for theirs hold nothing.
    let turn = api.converting.turn().await;
    let png = api.farm.artifacts.get(picture, MAX_ARTIFACT_BYTES).await?;
    let bytes = openai::converted_in(turn, png, format).await;
    let bytes = bytes.map_err(|_| ApiError::damaged())?;
    Ok((shared, described, bytes).into_response())
}

fn refused(bad: Bad) -> ApiError {
    let message = match bad {
        Bad::Forged => "this link is not one of this farm",
        Bad::Over => "this link has ended: ask for the picture again",
    };
    ApiError::new(StatusCode::FORBIDDEN, "bad_link", message)
}

fn short(digest: Sha256) -> String {
    digest.to_string().chars().take(12).collect()
}

/// The token that says `claim`.
pub fn token(claim: &Claim, secret: &[u8]) -> String {
    let mut bytes = claim.to_bytes();
    bytes.extend(mac(secret, PURPOSE, &bytes).finalize().into_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// What a token says that was signed with `secret` and is good at `now`, in seconds since 1970.
pub fn read(token: &str, secret: &[u8], now: u64) -> Result<Claim, Bad> {
    // What is longer than a token is not even decoded.
    if token.len() != TOKEN_BYTES.div_ceil(3) * 4 - (3 - TOKEN_BYTES % 3) % 3 {
        return Err(Bad::Forged);
    }
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token);
    let bytes = bytes.map_err(|_| Bad::Forged)?;
    let (claim, tag) = bytes.split_at_checked(CLAIM_BYTES).ok_or(Bad::Forged)?;
    // Takes as long wherever the first wrong byte is.
    let genuine = mac(secret, PURPOSE, claim).verify_slice(tag);
    genuine.map_err(|_| Bad::Forged)?;
    let claim = Claim::of_bytes(claim).ok_or(Bad::Forged)?;
    if claim.until <= now {
        return Err(Bad::Over);
    }
    Ok(claim)
}

impl Claim {
    fn to_bytes(self) -> Vec<u8> {
        let (format, quality) = match self.format {
            Format::Png => (0, 0),
            Format::Jpeg { quality } => (1, quality),
            Format::WebP => (2, 0),
        };
        let mut bytes = Vec::with_capacity(TOKEN_BYTES);
        bytes.push(VERSION);
        bytes.extend(self.sha256.0);
        bytes.extend(self.bytes.to_be_bytes());
        bytes.extend([format, quality]);
        bytes.extend(self.until.to_be_bytes());
        bytes
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; CLAIM_BYTES] = bytes.try_into().ok()?;
        let number = |at: usize| {
            let digits = bytes[at..at + 8].try_into().ok()?;
            Some(u64::from_be_bytes(digits))
        };
        let format = match (bytes[41], bytes[42]) {
            (0, 0) => Format::Png,
            (1, quality @ 1..=100) => Format::Jpeg { quality },
            (2, 0) => Format::WebP,
            _ => return None,
        };
        (bytes[0] == VERSION).then_some(Self {
            sha256: Sha256(bytes[1..33].try_into().ok()?),
            bytes: number(33)?,
            format,
            until: number(43)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CLAIM: Claim = Claim {
        sha256: Sha256([7; 32]),
        bytes: 12_345,
        format: Format::Jpeg { quality: 80 },
        until: 1_000,
    };
    const SECRET: &[u8] = b"thirty-two bytes, or something...";

    #[test]
    fn a_token_says_what_was_put_in_until_its_end() {
        for format in [Format::Png, Format::Jpeg { quality: 1 }, Format::WebP] {
            let claim = Claim { format, ..CLAIM };
            let token = token(&claim, SECRET);
            assert_eq!(read(&token, SECRET, 999), Ok(claim));
            assert_eq!(read(&token, SECRET, 1_000), Err(Bad::Over));
            assert_eq!(read(&token, b"another secret", 999), Err(Bad::Forged));
        }
        assert_eq!(read("", SECRET, 0), Err(Bad::Forged));
    }

    proptest! {
        #[test]
        fn no_other_byte_passes(at in 0..TOKEN_BYTES, flip in 1..=255_u8) {
            let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(token(&CLAIM, SECRET)).unwrap();
            bytes[at] ^= flip;
            let forged = BASE64_URL_SAFE_NO_PAD.encode(bytes);
            prop_assert_eq!(read(&forged, SECRET, 0), Err(Bad::Forged));
        }

        #[test]
        fn rubbish_is_forged(text in "\\PC{0,130}") {
            prop_assert_eq!(read(&text, SECRET, 0), Err(Bad::Forged));
        }
    }
}
