//! What decoders are fed: rubbish, and good samples that were damaged on their way.

use bolero::TypeGenerator;

/// One input of a decoder.
#[derive(Clone, Debug, TypeGenerator)]
pub enum Input {
    /// Any bytes.
    Rubbish(Vec<u8>),
    /// A good sample with a few changes, so that the depths of a decoder are reached, too.
    Damaged {
        /// Which sample, modulo their number.
        sample: u8,
        /// What is done to it, in order.
        edits: [Option<Edit>; 4],
    },
}

/// A change of some bytes; places are modulo the length.
#[derive(Clone, Debug, TypeGenerator)]
pub enum Edit {
    /// A byte becomes another one.
    Set {
        /// Where.
        at: u16,
        /// What.
        byte: u8,
    },
    /// Some bytes are lost.
    Lose {
        /// From where on.
        at: u16,
        /// How many.
        bytes: u8,
    },
    /// Some bytes come again and again.
    Repeat {
        /// From where on.
        at: u16,
        /// How many.
        bytes: u8,
        /// How often.
        times: u8,
    },
    /// Other bytes come in between.
    Insert {
        /// Where.
        at: u16,
        /// Which.
        bytes: [u8; 4],
    },
    /// The rest is lost.
    End {
        /// From where on.
        at: u16,
    },
}

impl Input {
    /// The bytes, made from one of `samples` if it is not rubbish.
    pub fn bytes(&self, samples: &[Vec<u8>]) -> Vec<u8> {
        match self {
            Self::Rubbish(bytes) => bytes.clone(),
            Self::Damaged { sample, edits } => {
                let mut bytes = samples[usize::from(*sample) % samples.len()].clone();
                edits
                    .iter()
                    .flatten()
                    .for_each(|edit| edit.apply(&mut bytes));
                bytes
            }
        }
    }
}

impl Edit {
    fn apply(&self, all: &mut Vec<u8>) {
        let place = |at: &u16| usize::from(*at) % all.len().max(1);
        let some = |at: &u16, bytes: &u8| {
            let from = place(at);
            from..all.len().min(from + usize::from(*bytes))
        };
        match self {
            Self::Set { at, byte } => {
                let place = place(at);
                if let Some(old) = all.get_mut(place) {
                    *old = *byte;
                }
            }
            Self::Lose { at, bytes } => {
                let lost = some(at, bytes);
                all.drain(lost);
            }
            Self::Repeat { at, bytes, times } => {
                let range = some(at, bytes);
                let end = range.end;
                let again = all[range].repeat(usize::from(*times));
                all.splice(end..end, again);
            }
            Self::Insert { at, bytes } => {
                let place = place(at);
                all.splice(place..place, bytes.iter().copied());
            }
            Self::End { at } => {
                let place = place(at);
                all.truncate(place);
            }
        }
    }
}
