//! The artifacts that were stored or read last, in memory. They never change, so that none is ever out of date.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use atelier_proto::Sha256;
use bytes::Bytes;

/// What is larger than this share of the whole is not kept.
const LARGEST_SHARE: usize = 8;

/// What is at most so long is copied, because the memory that it was made in may be twice as long; to copy more would take too long.
const COPIED: usize = 1 << 16;

/// Most artifacts that are kept: of so many small ones nobody reads the oldest again, and memory that is never touched costs nothing.
const MOST: usize = 2_048;

/// Up to so many bytes of artifacts; the oldest go first.
#[derive(Debug)]
pub(super) struct Memory {
    most: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    kept: HashMap<Sha256, Bytes>,
    order: VecDeque<Sha256>,
    bytes: usize,
}

impl Memory {
    /// Keeps at most `most` bytes.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            inner: Mutex::default(),
        }
    }

    /// An artifact, if it is here.
    pub fn get(&self, sha256: Sha256) -> Option<Bytes> {
        self.lock().kept.get(&sha256).cloned()
    }

    /// Keeps an artifact.
    pub fn keep(&self, sha256: Sha256, bytes: &Bytes) {
        if bytes.len() > self.most / LARGEST_SHARE {
            return;
        }
        let mut inner = self.lock();
        if inner.kept.contains_key(&sha256) {
            return;
        }
        let kept = match bytes.len() {
            ..=COPIED => Bytes::copy_from_slice(bytes),
            _ => bytes.clone(),
        };
        inner.kept.insert(sha256, kept);
        inner.order.push_back(sha256);
        inner.bytes += bytes.len();
        while (inner.bytes > self.most || inner.order.len() > MOST)
            && let Some(oldest) = inner.order.pop_front()
        {
            let gone = inner.kept.remove(&oldest);
            inner.bytes -= gone.map_or(0, |bytes| bytes.len());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing under the lock can panic halfway through a change.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: u8) -> Sha256 {
        Sha256([number; 32])
    }

    #[test]
    fn the_oldest_go_when_it_is_full_and_what_is_very_large_never_comes() {
        let memory = Memory::new(80);
        let ten = Bytes::from_static(&[0; 10]);
        for number in 0..9 {
            memory.keep(name(number), &ten);
            memory.keep(name(number), &ten);
        }
        assert_eq!(memory.get(name(0)), None);
        assert!((1..9).all(|number| memory.get(name(number)) == Some(ten.clone())));
        memory.keep(name(9), &Bytes::from_static(&[0; 11]));
        assert_eq!(memory.get(name(9)), None);
        assert!(memory.get(name(1)).is_some());
    }

    #[test]
    fn of_many_small_ones_the_oldest_go_first() {
        let memory = Memory::new(1 << 20);
        let name = |number: usize| crate::artifacts::digest(&number.to_le_bytes());
        for number in 0..=MOST {
            memory.keep(name(number), &Bytes::from_static(&[0]));
        }
        assert_eq!(memory.get(name(0)), None);
        assert!(memory.get(name(1)).is_some() && memory.get(name(MOST)).is_some());
    }
}
