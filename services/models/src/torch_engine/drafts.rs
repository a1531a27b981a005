//! Drafts that were written before: a prompt that is asked for again, with another seed for example, is laid out anew and not written anew.

use std::collections::{HashMap, VecDeque};

use atelier_engine::PlanInput;
use atelier_proto::{TenantId, job::Think};

use crate::planner::DraftOutput;

/// Most drafts that are kept; a prompt and its draft take some kilobytes.
const MOST: usize = 1_024;

/// What a draft follows from. Tenants do not share drafts, so that nobody learns from how fast a plan is made what another one has asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    tenant: TenantId,
    prompt: String,
    think: Think,
    tokens: Option<u32>,
    /// What there are pictures of.
    pictures: Vec<String>,
}

impl Key {
    /// The key of a prompt for a planner that `thinks`, which alone reads of pictures and bounds its thought; none where nothing may be kept, or
    /// where more than the prompt decides.
    pub fn of(input: &PlanInput, thinks: bool) -> Option<Self> {
        let tenant = input.keep_for.filter(|_| input.findings.is_empty())?;
        Some(Self {
            tenant,
            prompt: input.prompt.clone(),
            think: input.think,
            tokens: input
                .think_tokens
                .filter(|_| thinks && input.think == Think::Full),
            pictures: match thinks {
                true => input.reference_names.clone(),
                false => Vec::new(),
            },
        })
    }
}

/// The drafts written last.
#[derive(Default)]
pub struct Drafts {
    kept: HashMap<Key, DraftOutput>,
    order: VecDeque<Key>,
}

impl Drafts {
    /// The draft that was written for this, if it is here.
    pub fn get(&self, key: Option<&Key>) -> Option<DraftOutput> {
        self.kept.get(key?).cloned()
    }

    /// Keeps a draft where there is a key for it; the oldest go.
    pub fn keep(&mut self, key: Option<Key>, draft: &DraftOutput) {
        let Some(key) = key else { return };
        if self.kept.insert(key.clone(), draft.clone()).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.kept.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(tenant: u8, prompt: &str) -> PlanInput {
        PlanInput {
            prompt: prompt.into(),
            keep_for: Some(TenantId::at(0, [tenant; 10])),
            ..PlanInput::default()
        }
    }

    fn draft(text: &str) -> DraftOutput {
        DraftOutput {
            draft: Default::default(),
            text: text.into(),
            tokens_sampled: 1,
            tokens_forced: 2,
            passes: 3,
            ..DraftOutput::default()
        }
    }

    #[test]
    fn a_draft_is_found_by_its_tenant_and_prompt_whatever_the_seed() {
        let mut drafts = Drafts::default();
        drafts.keep(Key::of(&input(1, "a cat"), true), &draft("cat"));
        let other_seed = PlanInput {
            seed: 9,
            ..input(1, "a cat")
        };
        let found = |input: &PlanInput| {
            let found = drafts.get(Key::of(input, true).as_ref());
            found.map(|draft| draft.text)
        };
        assert_eq!(found(&other_seed).as_deref(), Some("cat"));
        assert_eq!(found(&input(2, "a cat")), None);
        assert_eq!(found(&input(1, "a dog")), None);
        let again = PlanInput {
            findings: vec!["the cat is missing".into()],
            ..input(1, "a cat")
        };
        assert_eq!(found(&again), None);
        let thorough = PlanInput {
            think: Think::Full,
            ..input(1, "a cat")
        };
        assert_eq!(found(&thorough), None);
        let shown = PlanInput {
            reference_names: vec!["cat".into()],
            ..input(1, "a cat")
        };
        assert_eq!(found(&shown), None);
        // One that does not think reads neither names of pictures nor a bound.
        let with = |think, think_tokens| PlanInput {
            think,
            think_tokens,
            ..shown.clone()
        };
        for think in [Think::Fast, Think::Full] {
            let bare = PlanInput {
                think,
                ..input(1, "a cat")
            };
            assert_eq!(
                Key::of(&with(think, Some(64)), false),
                Key::of(&bare, false)
            );
        }
        let key = |think, tokens| Key::of(&with(think, tokens), true);
        assert_eq!(key(Think::Fast, Some(64)), key(Think::Fast, None));
        assert_ne!(key(Think::Full, Some(64)), key(Think::Full, None));
        let anew = PlanInput {
            keep_for: None,
            ..input(1, "a cat")
        };
        assert_eq!(found(&anew), None);
    }

    #[test]
    fn the_oldest_go() {
        let mut drafts = Drafts::default();
        for number in 0..=MOST {
            drafts.keep(Key::of(&input(1, &number.to_string()), true), &draft(""));
        }
        assert_eq!(drafts.kept.len(), MOST);
        let key = |prompt: &str| Key::of(&input(1, prompt), true);
        assert!(drafts.get(key("0").as_ref()).is_none());
        assert!(drafts.get(key("1").as_ref()).is_some());
    }
}
