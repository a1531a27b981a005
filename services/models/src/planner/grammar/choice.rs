//! A sorted list of byte strings that is narrowed byte by byte.

/// Some texts, none of which is the beginning of another, each with what it means.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    texts: Vec<(Vec<u8>, usize)>,
}

/// The texts of a choice that still agree with what was written: `texts[from..to]`, `depth` bytes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    from: usize,
    to: usize,
    depth: usize,
}

impl Choice {
    pub(super) fn new(mut texts: Vec<(Vec<u8>, usize)>) -> Self {
        texts.sort();
        texts.dedup_by(|a, b| a.0 == b.0);
        Self { texts }
    }

    /// The same with one more text.
    pub(super) fn with(&self, text: Vec<u8>) -> Self {
        let mut texts = self.texts.clone();
        texts.push((text, 0));
        Self::new(texts)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    pub(super) fn is_prefix_free(&self) -> bool {
        self.texts
            .windows(2)
            .all(|pair| !pair[1].0.starts_with(&pair[0].0))
    }

    pub(super) fn start(&self) -> Cursor {
        Cursor {
            from: 0,
            to: self.texts.len(),
            depth: 0,
        }
    }

    /// The bytes that may follow, ascending.
    pub(super) fn next(&self, at: Cursor) -> impl Iterator<Item = u8> + '_ {
        let mut before = None;
        self.texts[at.from..at.to]
            .iter()
            .filter_map(move |(text, _)| {
                let byte = text.get(at.depth).copied();
                (byte != std::mem::replace(&mut before, byte))
                    .then_some(byte)
                    .flatten()
            })
    }

    /// Narrows by one byte; none when no text goes on with it.
    pub(super) fn advance(&self, at: Cursor, byte: u8) -> Option<Cursor> {
        let texts = &self.texts[at.from..at.to];
        let from = texts.partition_point(|(text, _)| text.get(at.depth) < Some(&byte));
        let to = texts.partition_point(|(text, _)| text.get(at.depth) <= Some(&byte));
        (from < to).then_some(Cursor {
            from: at.from + from,
            to: at.from + to,
            depth: at.depth + 1,
        })
    }

    /// The text that is complete at the cursor, with what it means.
    pub(super) fn complete(&self, at: Cursor) -> Option<(&[u8], usize)> {
        self.texts[at.from..at.to]
            .first()
            .filter(|(text, _)| text.len() == at.depth)
            .map(|(text, meaning)| (text.as_slice(), *meaning))
    }
}
