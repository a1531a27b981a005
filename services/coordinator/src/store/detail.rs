//! The column `detail` of a job: what the trace tells of how it was done.

use atelier_proto::{
    job::Size,
    made::Made,
    report::{Kept, Thought, UsedReference},
};
use serde::{Deserialize, Serialize};

/// What the trace tells of how a job was done; stored as JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Detail {
    /// Of a plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thought: Option<Thought>,
    /// Of a render.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawn: Option<Drawn>,
    /// Of anything that was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Made>,
    /// Jobs of its kind that were on the device at once, of a plan or a look, where there were others; a drawing tells its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
}

/// What the trace tells of a drawing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drawn {
    /// Denoise steps done.
    pub steps: u32,
    /// Size in pixels.
    pub size: Size,
    /// Pictures that elements were drawn with.
    pub references: Vec<UsedReference>,
    /// Drawings that were on the device at once.
    #[serde(default = "alone")]
    pub batch: u32,
    /// What a repair or a blend left of its inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Kept>,
}

const fn alone() -> u32 {
    1
}

impl Detail {
    /// Bytes of the texts in it that may be long.
    pub(super) fn bytes_of_thought(&self) -> usize {
        self.thought.as_ref().map_or(0, |thought| {
            let notes = thought.notes.iter().map(String::len);
            let evidence = thought.evidence.iter().map(|cited| cited.words.len());
            thought.text.len() + thought.reasoning.len() + notes.chain(evidence).sum::<usize>()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_of_earlier_releases_stays_readable() {
        let drawn = r#"{"drawn":{"steps":4,"size":{"width":8,"height":8},"references":[]}}"#;
        let read: Detail = serde_json::from_str(drawn).unwrap();
        assert_eq!(read.drawn.unwrap().batch, 1);
        let thought = r#"{"thought":{"text":"t","tokens_sampled":1,"tokens_forced":2,"notes":[]}}"#;
        let read: Detail = serde_json::from_str(thought).unwrap();
        assert_eq!(read.thought.unwrap().text, "t");
    }
}
