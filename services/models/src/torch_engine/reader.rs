//! What reads the words of plans for a renderer.

use super::{phrases::Phrases, prompts::Prompts, render::Words};
use crate::{
    critic::DetectorCritic,
    language::{TextEncoder, TextStates},
    props::PropLibrary,
    renderer::Renderer,
};

/// As the renderer was trained to be told.
pub enum Reader {
    /// Plain phrases, for the small renderer.
    Phrases(TextStates),
    /// Prompts in a template, for published ones.
    Prompts(Box<TextEncoder>),
}

impl Reader {
    /// What the renderer is told with; nothing where the small one's critic is missing.
    pub fn words<'a>(
        &'a self,
        renderer: &Renderer,
        props: &'a PropLibrary,
        critic: Option<&'a DetectorCritic>,
    ) -> Option<Box<dyn Words + 'a>> {
        Some(match self {
            Self::Phrases(text) => Box::new(Phrases {
                text,
                props,
                critic: critic?,
            }),
            Self::Prompts(encoder) => Box::new(Prompts {
                encoder,
                props,
                guided: renderer.config().guided(),
                reads_pictures: renderer.network().reads_references(),
                arm: renderer.config().regions.arm,
            }),
        })
    }
}
