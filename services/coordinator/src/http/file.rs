//! Files of a request over HTTP: entity tags and ranges (RFC 9110, sections 13 and 14).
//!
//! A file is read whole and compared with its name also when a part of it is wanted: a damaged file is never given out.

use std::{convert::Infallible, ops::Range};

use atelier_platform::{
    ArtifactError, Artifacts,
    artifacts::{MAX_ARTIFACT_BYTES, digest},
};
use atelier_proto::{ArtifactRef, MediaType};
use axum::{
    body::Bytes,
    extract::FromRequestParts,
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
    response::{AppendHeaders, IntoResponse, Response},
};

use super::error::ApiError;

/// Which part of a file a caller wants.
#[derive(Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of it; also when the header is not understood, or names several parts.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// Nothing that there is.
    Nothing,
}

/// What a caller asks with, beside the path.
#[derive(Debug)]
pub struct Asked {
    /// GET or HEAD.
    pub method: Method,
    /// All headers.
    pub headers: HeaderMap,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self {
            method: parts.method.clone(),
            headers: parts.headers.clone(),
        })
    }
}

/// Answers a stored file, a part of it, or that the caller has it already. `name` is what it is saved as.
pub async fn answer(
    artifacts: &Artifacts,
    file: &ArtifactRef,
    name: &str,
    asked: &Asked,
) -> Result<Response, ArtifactError> {
    let read = async || artifacts.get(file, MAX_ARTIFACT_BYTES).await;
    answer_with(file, read, name, asked).await
}

/// The same of a file that is made of stored ones.
pub async fn answer_made(
    bytes: Bytes,
    media_type: MediaType,
    name: &str,
    asked: &Asked,
) -> Result<Response, ArtifactError> {
    let file = ArtifactRef {
        sha256: digest(&bytes),
        bytes: bytes.len() as u64,
        media_type,
    };
    answer_with(&file, async || Ok(bytes.clone()), name, asked).await
}

async fn answer_with(
    file: &ArtifactRef,
    read: impl AsyncFnOnce() -> Result<Bytes, ArtifactError>,
    name: &str,
    asked: &Asked,
) -> Result<Response, ArtifactError> {
    // The digest of the bytes, so that equal tags are equal bytes.
    let tag = format!("\"{}\"", file.sha256);
    let shared = AppendHeaders([
        (header::ETAG, tag.clone()),
        // The picture at an address may get better; its tag says cheaply whether it did.
        (header::CACHE_CONTROL, "private, no-cache".to_owned()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
    ]);
    if is_known(&asked.headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, shared).into_response());
    }
    // Ranges mean something for GET only, and only while the file is the one that the caller has the other part of.
    let range = asked.headers.get(header::RANGE);
    let range = range.filter(|_| asked.method == Method::GET && is_same(&asked.headers, &tag));
    let part = match wanted(range.and_then(|range| range.to_str().ok()), file.bytes) {
        Wanted::Nothing => {
            let message = format!("the file has {} bytes: ask for some of these", file.bytes);
            let error = ApiError::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "range_not_satisfiable",
                message,
            );
            let length = [(header::CONTENT_RANGE, format!("bytes */{}", file.bytes))];
            return Ok((shared, length, error).into_response());
        }
        Wanted::Whole => None,
        Wanted::Part(part) => Some(part),
    };
    let described = [
        (header::CONTENT_TYPE, file.media_type.as_str().to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("inline; filename=\"{name}\""),
        ),
    ];
    if asked.method == Method::HEAD {
        let length = [(header::CONTENT_LENGTH, file.bytes.to_string())];
        return Ok((shared, described, length).into_response());
    }
    let bytes = read().await?;
    Ok(match part {
        None => (shared, described, bytes).into_response(),
        Some(part) => {
            let place = format!("bytes {}-{}/{}", part.start, part.end - 1, file.bytes);
            // What was read is as long as its name says, and fits into memory.
            let bytes = bytes.slice(part.start as usize..part.end as usize);
            let headers = [(header::CONTENT_RANGE, place)];
            (
                StatusCode::PARTIAL_CONTENT,
                shared,
                described,
                headers,
                bytes,
            )
                .into_response()
        }
    })
}

/// Whether `If-None-Match` names the file, by weak comparison.
pub fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let lines = headers.get_all(header::IF_NONE_MATCH).into_iter();
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

/// Whether `If-Range` lets a range count: there is none, or it names exactly this file. Dates never do: a tag says more.
fn is_same(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get(header::IF_RANGE)
        .is_none_or(|same| same.as_bytes() == tag.as_bytes())
}

/// Reads a `Range` header for a file of `length` bytes, at least one.
pub fn wanted(range: Option<&str>, length: u64) -> Wanted {
    let part = range
        .and_then(|range| range.split_once('='))
        .filter(|(unit, _)| unit.trim().eq_ignore_ascii_case("bytes"))
        .and_then(|(_, part)| part.trim().split_once('-'));
    let Some((first, last)) = part else {
        return Wanted::Whole;
    };
    match (first, last) {
        ("", suffix) => match position(suffix) {
            None => Wanted::Whole,
            Some(0) => Wanted::Nothing,
            Some(suffix) => Wanted::Part(length.saturating_sub(suffix)..length),
        },
        (first, last) => {
            let last = match last {
                "" => Some(u64::MAX),
                last => position(last),
            };
            match position(first).zip(last) {
                None => Wanted::Whole,
                // The other way round is no range at all.
                Some((first, last)) if last < first => Wanted::Whole,
                Some((first, _)) if first >= length => Wanted::Nothing,
                Some((first, last)) => Wanted::Part(first..length.min(last.saturating_add(1))),
            }
        }
    }
}

/// A position in digits only; one beyond what can be counted is beyond every file.
fn position(digits: &str) -> Option<u64> {
    let all_digits = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    all_digits.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        let cases = [
            (None, Wanted::Whole),
            (Some("bytes=0-0"), Wanted::Part(0..1)),
            (Some("bytes=2-5"), Wanted::Part(2..6)),
            (Some("Bytes = 2-5"), Wanted::Part(2..6)),
            (Some("bytes=2-"), Wanted::Part(2..10)),
            (Some("bytes=2-99999999999999999999999"), Wanted::Part(2..10)),
            (Some("bytes=-3"), Wanted::Part(7..10)),
            (Some("bytes=-99"), Wanted::Part(0..10)),
            (Some("bytes=10-"), Wanted::Nothing),
            (Some("bytes=99999999999999999999999-"), Wanted::Nothing),
            (Some("bytes=-0"), Wanted::Nothing),
            // What is no range, or more than one, is as if nobody had asked for a part.
            (Some("bytes=5-2"), Wanted::Whole),
            (Some("bytes=0-1,4-5"), Wanted::Whole),
            (Some("bytes=a-b"), Wanted::Whole),
            (Some("bytes=+1-2"), Wanted::Whole),
            (Some("bytes=-"), Wanted::Whole),
            (Some("bytes"), Wanted::Whole),
            (Some("pixels=0-1"), Wanted::Whole),
        ];
        for (range, expected) in cases {
            assert_eq!(wanted(range, 10), expected, "{range:?}");
        }
    }

    #[test]
    fn tags_are_compared_as_the_standard_says() {
        let with = |name: header::HeaderName, value: &str| {
            HeaderMap::from_iter([(name, value.parse().unwrap())])
        };
        for known in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*"] {
            assert!(
                is_known(&with(header::IF_NONE_MATCH, known), "\"a\""),
                "{known}"
            );
        }
        for other in ["\"b\"", "a", ""] {
            assert!(
                !is_known(&with(header::IF_NONE_MATCH, other), "\"a\""),
                "{other}"
            );
        }
        assert!(is_same(&HeaderMap::new(), "\"a\""));
        assert!(is_same(&with(header::IF_RANGE, "\"a\""), "\"a\""));
        for other in ["W/\"a\"", "\"b\"", "Wed, 25 Nov 2026 12:00:00 GMT"] {
            assert!(!is_same(&with(header::IF_RANGE, other), "\"a\""), "{other}");
        }
    }

    proptest! {
        #[test]
        fn a_part_is_never_empty_nor_outside(range in "bytes=[0-9]{0,21}-[0-9]{0,21}|\\PC{0,20}", length in 1_u64..1_000) {
            if let Wanted::Part(part) = wanted(Some(&range), length) {
                prop_assert!(part.start < part.end && part.end <= length);
            }
        }
    }
}
