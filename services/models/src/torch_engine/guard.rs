//! Out of memory is a failure of the attempt, not of the worker: libtorch says so in a panic, which ends here. Every other panic goes on.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use atelier_engine::EngineError;

use crate::device::give_back;

/// What libtorch says when the host or a GPU has no room left.
const SIGNS: [&str; 4] = [
    "can't allocate memory",
    "not enough memory",
    "CUDA out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
];

/// Runs work on the device; where it ends early, what it took goes back to the system. The engine's networks are only read there, so that they are as good afterwards as before.
pub fn guarded<T>(work: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => {
            if matches!(result, Err(EngineError::Canceled)) {
                give_back();
            }
            result
        }
        Err(panic) => match out_of_memory(panic.as_ref()) {
            Some(sentence) => {
                drop(panic);
                give_back();
                Err(EngineError::OutOfMemory(sentence))
            }
            None => resume_unwind(panic),
        },
    }
}

/// The first line of what a panic says, when it is about memory.
fn out_of_memory(panic: &(dyn Any + Send)) -> Option<String> {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())?;
    SIGNS.iter().any(|sign| text.contains(sign)).then(|| {
        let line = text
            .split(['\n', '\\'])
            .find(|line| SIGNS.iter().any(|sign| line.contains(sign)))
            .unwrap_or(text);
        format!("out of memory: {}", line.trim())
    })
}

/// What came of each of some items.
type Made<T> = Vec<Result<T, EngineError>>;

/// Does many at once, and where the memory does not suffice half as many at a time, down to one by one. Results are in the order of the items.
pub fn halving<I, T>(items: &mut [I], work: &mut dyn FnMut(&mut [I]) -> Made<T>) -> Made<T> {
    match guarded(|| Ok(work(items))) {
        Ok(results) => results,
        Err(error) if items.len() > 1 => {
            tracing::warn!(%error, at_once = items.len(), "the batch does not fit: half as many at a time");
            let (first, second) = items.split_at_mut(items.len().div_ceil(2));
            let mut all = halving(first, work);
            all.extend(halving(second, work));
            all
        }
        Err(error) => vec![Err(error)],
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::*;

    /// More numbers than any address space holds, by libtorch's own allocator.
    fn greedy() -> Tensor {
        Tensor::zeros([1 << 46], (Kind::Float, Device::Cpu))
    }

    #[test]
    fn too_much_memory_fails_the_attempt_and_nothing_else() {
        let failed = guarded(|| Ok(greedy().size()));
        let Err(EngineError::OutOfMemory(sentence)) = failed else {
            panic!("{failed:?}");
        };
        assert!(sentence.starts_with("out of memory: "), "{sentence}");
        assert!(!sentence.contains("frame #"), "{sentence}");
        // libtorch works on.
        let sum = guarded(|| Ok(Tensor::ones([4], (Kind::Float, Device::Cpu)).sum(Kind::Float)));
        assert_eq!(sum.unwrap().double_value(&[]), 4.0);
    }

    #[test]
    fn other_panics_go_on() {
        let panicked = catch_unwind(|| guarded::<()>(|| panic!("something else")));
        assert!(panicked.is_err());
    }

    #[test]
    fn a_batch_that_does_not_fit_is_made_in_smaller_ones() {
        let mut sizes = Vec::new();
        let mut items: Vec<u32> = (0..7).collect();
        let made = halving(&mut items, &mut |items| {
            sizes.push(items.len());
            if items.len() > 2 || items.contains(&5) {
                let _ = greedy();
            }
            items.iter().map(|item| Ok(item * 10)).collect()
        });
        let made: Vec<_> = made.into_iter().map(Result::ok).collect();
        let wanted = [0, 10, 20, 30, 40]
            .map(Some)
            .into_iter()
            .chain([None, Some(60)]);
        assert_eq!(made, wanted.collect::<Vec<_>>());
        assert_eq!(sizes, [7, 4, 2, 2, 3, 2, 1, 1, 1]);
    }
}
