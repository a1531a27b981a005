//! Several texts written side by side: each joins when it comes and leaves when it ends, and none waits for another.
//!
//! What a text may go on with is its guide's business: anything, some tokens, or tokens that are certain and are read in one pass.

mod guide;

use tch::{Device, Tensor};

use super::{Cache, Decoder, LanguageError, Sampler, Slots};
pub use guide::{Guide, Next, Until};

/// Texts that have more to read than this are read by themselves, so that the others are not padded to them.
const ALONE: usize = 32;

/// The beginning of many texts, read once.
pub struct Beginning {
    tokens: Vec<u32>,
    cache: Cache,
}

impl Beginning {
    /// Reads it.
    pub fn read(decoder: &Decoder, tokens: &[u32]) -> Result<Self, LanguageError> {
        let mut cache = Cache::default();
        let _states = decoder.forward(tokens, &mut cache)?;
        Ok(Self {
            tokens: tokens.to_vec(),
            cache,
        })
    }

    /// Tokens in it.
    pub const fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether it is nothing; it never is.
    pub const fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// A cache that goes on from it.
    pub fn cache(&self) -> Cache {
        self.cache.copy()
    }
}

/// Texts that are being written with one decoder.
pub struct Writer<'d, G> {
    decoder: &'d Decoder,
    /// Tokens that may be written; rows of the vocabulary behind them are padding.
    vocabulary: usize,
    slots: Slots,
    /// By slot.
    texts: Vec<Text<G>>,
    next: u64,
}

/// Which text of a writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TextId(u64);

struct Text<G> {
    id: TextId,
    guide: G,
    sampler: Sampler,
    /// Read by the next pass, all at once.
    unread: Vec<u32>,
}

/// A text that has ended.
pub struct Ended<G> {
    /// Which.
    pub id: TextId,
    /// What it has become.
    pub guide: G,
    /// It is cut: it was as long as the model reads.
    pub cut: bool,
}

impl<'d, G: Guide> Writer<'d, G> {
    /// Without texts. `vocabulary`: how many tokens the tokenizer knows.
    pub fn new(decoder: &'d Decoder, vocabulary: usize) -> Self {
        let rows = decoder.config().vocabulary as usize;
        Self {
            slots: Slots::new(decoder),
            decoder,
            vocabulary: vocabulary.min(rows),
            texts: Vec::new(),
            next: 0,
        }
    }

    /// How many texts are being written.
    pub const fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether there is nothing to write.
    pub const fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// A text joins: `prompt`, then what `guide` allows, drawn by `sampler`. Where the prompt begins with `beginning`, that is not read again.
    pub fn join(
        &mut self,
        prompt: &[u32],
        beginning: Option<&Beginning>,
        sampler: Sampler,
        guide: G,
    ) -> Result<TextId, LanguageError> {
        let shared = beginning.filter(|shared| {
            prompt.starts_with(&shared.tokens) && prompt.len() > shared.tokens.len()
        });
        let unread = &prompt[shared.map_or(0, |shared| shared.tokens.len())..];
        let _known = self.decoder.checked(unread, prompt.len() - unread.len())?;
        match shared {
            Some(shared) => self.slots.join(&shared.cache),
            None => self.slots.join(&Cache::default()),
        };
        let id = TextId(self.next);
        self.next += 1;
        self.texts.push(Text {
            id,
            guide,
            sampler,
            unread: unread.to_vec(),
        });
        Ok(id)
    }

    /// A text leaves before its end.
    pub fn leave(&mut self, id: TextId) -> Option<G> {
        let slot = self.texts.iter().position(|text| text.id == id)?;
        Some(self.remove(slot).guide)
    }

    /// Goes on with every text by one token that is drawn and all that are certain around it; gives those that ended.
    pub fn step(&mut self) -> Result<Vec<Ended<G>>, LanguageError> {
        let (among, ended) = self.ask();
        for slots in self.passes() {
            let rows: Vec<(usize, &[u32])> = slots
                .iter()
                .map(|slot| (*slot, self.texts[*slot].unread.as_slice()))
                .collect();
            let logits = self.decoder.next_logits_of(&mut self.slots, &rows)?;
            let logits = logits
                .narrow(1, 0, self.vocabulary as i64)
                .to_device(Device::Cpu);
            for (row, slot) in slots.into_iter().enumerate() {
                self.texts[slot].write(&logits.get(row as i64), among[slot].as_deref());
            }
        }
        Ok(ended)
    }

    /// What each text that goes on may go on with, by slot; the others have left.
    fn ask(&mut self) -> (Vec<Option<Vec<u32>>>, Vec<Ended<G>>) {
        let context = self.decoder.config().context;
        let (mut among, mut ended) = (Vec::new(), Vec::new());
        while let Some(text) = self.texts.get_mut(among.len()) {
            let slot = among.len();
            let tokens = loop {
                match text.guide.next() {
                    Next::Given(tokens) => text.unread.extend(tokens),
                    Next::Among(tokens) => break Some(Some(tokens)),
                    Next::Free => break Some(None),
                    Next::End => break None,
                }
            };
            let cut = self.slots.length(slot) + text.unread.len() > context;
            match tokens.filter(|_| !cut) {
                Some(tokens) => among.push(tokens),
                // The last text takes its slot, and is asked next.
                None => {
                    let Text { id, guide, .. } = self.remove(slot);
                    ended.push(Ended { id, guide, cut });
                }
            }
        }
        (among, ended)
    }

    /// Slots by the pass that reads them.
    fn passes(&self) -> Vec<Vec<usize>> {
        let (long, short): (Vec<usize>, Vec<usize>) =
            (0..self.texts.len()).partition(|slot| self.texts[*slot].unread.len() > ALONE);
        let mut passes: Vec<Vec<usize>> = long.into_iter().map(|slot| vec![slot]).collect();
        passes.extend((!short.is_empty()).then_some(short));
        passes
    }

    fn remove(&mut self, slot: usize) -> Text<G> {
        self.slots.leave(slot);
        self.texts.swap_remove(slot)
    }
}

impl<G: Guide> Text<G> {
    fn write(&mut self, logits: &Tensor, among: Option<&[u32]>) {
        let token = self.sampler.pick(logits, among);
        self.guide.wrote(token);
        self.unread.clear();
        self.unread.push(token);
    }
}
