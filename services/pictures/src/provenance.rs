//! The text `atelier`: how the farm came to a picture, as JSON. A function of the job alone, so that equal jobs make equal files.

use atelier_proto::{Sha256, report::UsedReference};
use serde::{Deserialize, Serialize};

use crate::{Parameters, Text};

/// Version of the JSON that this build writes.
pub const PROVENANCE_VERSION: u32 = 1;

/// How a picture came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// [`PROVENANCE_VERSION`]; fields of later versions are ignored.
    pub version: u32,
    /// Version of the worker that drew it.
    pub made_by: String,
    /// Name of the model.
    pub model: String,
    /// SHA-256 of the plan (JSON) that it was drawn from; which revision that is, the request's trace says.
    pub plan: Sha256,
    /// The stage of the plan.
    pub stage: String,
    /// What the stage does: `generate`, `edit`, `blend` or `repair`.
    pub op: String,
    /// What was drawn, in words.
    pub prompt: String,
    /// Seed of the noise.
    pub seed: u64,
    /// Denoise steps done.
    pub steps: u32,
    /// Width and height in pixels.
    pub size: [u32; 2],
    /// Pictures that it was made of, by their SHA-256, in the stage's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Sha256>,
    /// Pictures that things were drawn with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<UsedReference>,
}

impl Provenance {
    /// The keyword of the text.
    pub const KEYWORD: &str = "atelier";

    /// Both texts of a picture: `parameters` and `atelier`.
    pub fn texts(&self) -> Result<Vec<Text>, serde_json::Error> {
        let json = serde_json::to_string(self)?;
        Ok(vec![
            self.parameters().to_text(),
            Text::new(Self::KEYWORD, json),
        ])
    }

    /// The same in the form for other tools.
    fn parameters(&self) -> Parameters {
        let [width, height] = self.size;
        let pairs = [
            ("Steps", self.steps.to_string()),
            ("Sampler", "Euler".to_owned()),
            ("Seed", self.seed.to_string()),
            ("Size", format!("{width}x{height}")),
            ("Model", self.model.clone()),
            ("Version", self.made_by.clone()),
        ];
        // A blend takes no steps and no noise.
        let drawn = |(key, _): &(&str, String)| {
            self.steps > 0 || !["Steps", "Sampler", "Seed"].contains(key)
        };
        Parameters {
            prompt: self.prompt.clone(),
            negative: String::new(),
            pairs: pairs
                .into_iter()
                .filter(drawn)
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
        }
    }

    /// Reads the text back.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_texts_say_the_same() {
        let made = Provenance {
            version: PROVENANCE_VERSION,
            made_by: "atelier 0.1.0".into(),
            model: "atelier-mini".into(),
            plan: Sha256([7; 32]),
            stage: "out".into(),
            op: "generate".into(),
            prompt: "a cat: orange".into(),
            seed: u64::MAX,
            steps: 4,
            size: [128, 96],
            inputs: Vec::new(),
            references: Vec::new(),
        };
        let texts = made.texts().unwrap();
        let read = Parameters::parse(&texts[0].text);
        assert_eq!(read.prompt, made.prompt);
        assert_eq!(read.get("Seed"), Some("18446744073709551615"));
        assert_eq!(read.get("Size"), Some("128x96"));
        assert_eq!(Provenance::parse(&texts[1].text).unwrap(), made);
        let later = texts[1].text.replacen('{', r#"{"mood":"calm","#, 1);
        assert_eq!(Provenance::parse(&later).unwrap(), made);
        assert!(Provenance::parse("{}").is_err());
        let blended = Provenance { steps: 0, ..made };
        assert!(blended.parameters().get("Seed").is_none());
    }
}
