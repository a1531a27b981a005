//! The stream: what is published and not yet taken, by kind and in order.

use std::collections::VecDeque;

use super::agenda::Key;

/// Messages of each kind of job.
#[derive(Debug, Default)]
pub struct Stream {
    messages: [VecDeque<(u64, Message)>; 3],
    published: u64,
}

/// One message.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// The attempt that it offers.
    pub key: Key,
    /// It will vanish before anybody gets it.
    pub vanishes: bool,
}

impl Stream {
    /// Appends a message about a job of this kind.
    pub fn publish(&mut self, kind: usize, message: Message) {
        self.published += 1;
        self.messages[kind].push_back((self.published, message));
    }

    /// Takes the oldest message, of whatever kind.
    pub fn take(&mut self) -> Option<(usize, Message)> {
        let head = |kind: &usize| self.messages[*kind].front().map(|(number, _)| *number);
        let kind = (0..self.messages.len())
            .filter(|kind| head(kind).is_some())
            .min_by_key(head)?;
        let (_, message) = self.messages[kind].pop_front()?;
        Some((kind, message))
    }

    /// Empties it; returns what was in it.
    pub fn wipe(&mut self) -> Vec<(usize, Message)> {
        let kinds = self.messages.iter_mut().enumerate();
        kinds
            .flat_map(|(kind, messages)| {
                messages.drain(..).map(move |(_, message)| (kind, message))
            })
            .collect()
    }
}
