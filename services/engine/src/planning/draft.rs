//! The draft: what a small planner model writes. It names things well and places them badly, so that the rest is code.

use serde::{Deserialize, Serialize};

/// What a planner model writes about a prompt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// The things of the prompt.
    pub elements: Vec<DraftElement>,
    /// `(subject noun, predicate, object noun)`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relations: Vec<(String, String, String)>,
    /// One of the backgrounds that the model was trained to name, or any word.
    #[serde(default)]
    pub background: String,
    /// `day`, `dusk` or `night`.
    #[serde(default)]
    pub time: String,
}

/// One thing of a draft.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DraftElement {
    /// What it is, in the prompt's words.
    pub noun: String,
    /// How many, when more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u8>,
    /// Colour word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// Coarse place, for example `top left` or `background`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// `small` or `large`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// Further words about it, for example `in a spacesuit`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<String>,
}
