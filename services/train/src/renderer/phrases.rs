//! Text states of every phrase that scenes are told with, computed once and kept in a file.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    path::Path,
    sync::Arc,
};

use anyhow::Context;
use atelier_models::{
    language::TextStates,
    props::vocabulary::{Background, Color, TimeOfDay, thing_phrase},
    renderer::text_stats::TextStats,
    weights::Weights,
};
use tch::{Device, Kind, Tensor};

use crate::{
    composer::Library,
    run::{Session, write_tensors},
};

/// Decoder layers whose outputs, side by side, are the states: a third, two thirds and all of the way.
const TAPS: [usize; 3] = [10, 20, 30];

/// Phrases between two lines on the way.
const CHUNK: usize = 512;

/// States by phrase.
pub struct Phrases {
    /// `(tokens, channels)`, bf16, standardised.
    states: HashMap<String, Tensor>,
    stats: TextStats,
}

impl Phrases {
    /// Reads `path`, or computes the states of all phrases and writes it.
    pub fn open(
        path: &Path,
        language: &Path,
        library: &Library,
        session: &Session,
    ) -> anyhow::Result<Self> {
        if !path.exists() {
            compute(path, language, library, session)?;
        }
        let file = Weights::load_file(path)?;
        let found = Self::of(file.tensors()?);
        session.say(&format!("{} phrases", found.states.len()));
        Ok(found)
    }

    /// Standardises the states `(tokens, channels)` of phrases.
    pub fn of(all: Vec<(String, Tensor)>) -> Self {
        let rows: Vec<&Tensor> = all.iter().map(|(_, states)| states).collect();
        let flat = Tensor::cat(&rows, 0).to_kind(Kind::Float);
        let stats = TextStats::new(
            &flat.mean_dim([0i64].as_slice(), false, Kind::Float),
            &flat.std_dim([0i64].as_slice(), true, false),
        );
        let states = all
            .into_iter()
            .map(|(phrase, states)| (phrase, stats.apply(&states).to_kind(Kind::BFloat16)))
            .collect();
        Self { states, stats }
    }

    /// Standardised states `(tokens, channels)` of a phrase.
    pub fn get(&self, phrase: &str) -> anyhow::Result<Tensor> {
        let states = self.states.get(phrase);
        Ok(states
            .with_context(|| format!("no states of the phrase {phrase:?}"))?
            .shallow_clone())
    }

    /// All phrases.
    pub fn known(&self) -> Arc<HashSet<String>> {
        Arc::new(self.states.keys().cloned().collect())
    }

    /// Mean and deviation of the states.
    pub const fn stats(&self) -> &TextStats {
        &self.stats
    }
}

/// Every way to tell the background and the time, every thing in every colour, every other name of a thing as it comes.
fn all(library: &Library) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for background in Background::ALL {
        for place in background.phrases() {
            for time in TimeOfDay::ALL {
                all.extend(time.phrases().iter().map(|when| format!("{place} {when}")));
            }
        }
    }
    for prop in library.props() {
        let colors = Color::ALL.into_iter().map(Some).chain([None]);
        all.extend(colors.map(|color| thing_phrase(&prop.name, color, prop.article)));
        let names = prop.synonyms.iter().take(4);
        all.extend(names.map(|name| thing_phrase(name, None, prop.article)));
    }
    all
}

fn compute(
    path: &Path,
    language: &Path,
    library: &Library,
    session: &Session,
) -> anyhow::Result<()> {
    let model = TextStates::load(language, &TAPS, Device::Cpu)?;
    let phrases: Vec<String> = all(library).into_iter().collect();
    let mut tensors = Vec::with_capacity(phrases.len());
    for chunk in phrases.chunks(CHUNK) {
        anyhow::ensure!(!session.interrupted(), "interrupted");
        for (phrase, states) in chunk.iter().zip(model.states(chunk)?) {
            tensors.push((phrase.clone(), states.to_kind(Kind::BFloat16)));
        }
        session.say(&format!(
            "text states: {} of {} phrases",
            tensors.len(),
            phrases.len()
        ));
    }
    write_tensors(&tensors, path)
}
