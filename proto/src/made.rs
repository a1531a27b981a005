//! How a thing was made: by whom, with which weights, on what, and where the time went. Told by the worker, kept for the trace.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Sha256;

/// How an attempt made what it made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Made {
    /// Name of the worker, for people.
    pub worker: String,
    /// What it computed on, for example `cpu` or `cuda:0`.
    pub device: String,
    /// Version of the worker's program.
    pub version: String,
    /// Digest of all files that this kind of job is done with; none where the engine has none to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<Sha256>,
    /// How long loading the models took that it was made with, in milliseconds, once when the worker started; none where it is not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_ms: Option<u32>,
    /// Where the time in the worker's hands went.
    #[serde(default)]
    pub spent: Spent,
    /// It was not computed: the same had been made before, and was kept.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cached: bool,
}

/// Where an attempt's time in its worker's hands went, in milliseconds, one after another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Spent {
    /// Until the inputs were there.
    #[serde(default)]
    pub fetch_ms: u32,
    /// Then until the device began with it.
    #[serde(default)]
    pub queue_ms: u32,
    /// Then on the device; of a batch the time of all.
    #[serde(default)]
    pub compute_ms: u32,
    /// Then until the output was stored.
    #[serde(default)]
    pub store_ms: u32,
}

const fn is_false(flag: &bool) -> bool {
    !*flag
}
