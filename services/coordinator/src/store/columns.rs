//! Many rows as arrays, one a column: what a statement that writes them takes, and PostgreSQL unnests.

use atelier_proto::Sha256;
use serde::Serialize;
use uuid::Uuid;

/// One column of many rows.
pub(super) fn column<'a, R, T>(rows: &'a [R], of: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

pub(super) fn digest(digest: Option<&Sha256>) -> Option<&[u8]> {
    digest.map(|digest| digest.0.as_slice())
}

pub(super) const fn signed(value: u32) -> i32 {
    value.cast_signed()
}

/// Positions and rounds: the domain bounds them far below.
pub(super) fn small(value: impl TryInto<i16>) -> i16 {
    value.try_into().unwrap_or(i16::MAX)
}

pub(super) fn json(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).expect("texts and artifacts are always JSON")
}

/// An array literal of ids of stages, which hold nothing that would have to be escaped within the quotes.
pub(super) fn quoted(ids: &[String]) -> String {
    let quoted: Vec<String> = ids.iter().map(|id| format!("\"{id}\"")).collect();
    format!("{{{}}}", quoted.join(","))
}

/// An array literal of UUIDs.
pub(super) fn uuids(ids: &[Uuid]) -> String {
    let words: Vec<String> = ids.iter().map(Uuid::to_string).collect();
    format!("{{{}}}", words.join(","))
}
