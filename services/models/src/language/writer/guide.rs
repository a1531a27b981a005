//! What a text may go on with.

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Any token.
    Free,
    /// One of these, at least one.
    Among(Vec<u32>),
    /// These, without asking the model; the guide takes them as written and is asked again.
    Given(Vec<u32>),
    /// Nothing: the text is complete, or cannot go on.
    End,
}

/// Says what may be written, and is told what was.
pub trait Guide {
    /// What may follow what was written so far.
    fn next(&mut self) -> Next;

    /// A token was drawn.
    fn wrote(&mut self, token: u32);
}

/// Anything, up to a token that ends texts or to some number of tokens.
#[derive(Clone, Debug)]
pub struct Until {
    ends: Vec<u32>,
    most: usize,
    written: Vec<u32>,
    ended: bool,
}

impl Until {
    /// At most `most` tokens.
    pub const fn new(ends: Vec<u32>, most: usize) -> Self {
        Self {
            ends,
            most,
            written: Vec::new(),
            ended: false,
        }
    }

    /// What was written, without the token that ended it.
    pub fn written(&self) -> &[u32] {
        &self.written
    }

    /// Whether it has ended by itself.
    pub const fn ended(&self) -> bool {
        self.ended
    }
}

impl Guide for Until {
    fn next(&mut self) -> Next {
        if self.ended || self.written.len() >= self.most {
            Next::End
        } else {
            Next::Free
        }
    }

    fn wrote(&mut self, token: u32) {
        if self.ends.contains(&token) {
            self.ended = true;
        } else {
            self.written.push(token);
        }
    }
}
