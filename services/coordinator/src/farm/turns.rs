//! Turns at what takes much memory and a processor. Such work cannot be stopped, so that what it holds is given back when it ends, and not when
//! its caller goes away.

use std::sync::Arc;

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{self, JoinError},
};

/// As much work at once as there are turns. Clones share them.
#[derive(Clone, Debug)]
pub struct Turns(Arc<Semaphore>);

/// One of them.
#[derive(Debug)]
pub struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// So many at once.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most)))
    }

    /// Runs `work` where blocking is allowed, when it is its turn. The turn and `held` are kept until it ends, whoever still waits for it; then
    /// `held` comes back with what it made. Fails only when `work` panics.
    pub async fn run<T, H>(
        &self,
        held: H,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<(T, H), JoinError>
    where
        T: Send + 'static,
        H: Send + 'static,
    {
        self.turn().await.run(held, work).await
    }

    /// Waits for a turn, so that what the work takes is fetched in it and not held while others have theirs.
    pub async fn turn(&self) -> Turn {
        Turn {
            // Nobody closes it.
            _permit: self.0.clone().acquire_owned().await.ok(),
        }
    }
}

impl Turn {
    /// As [`Turns::run`], in this turn.
    pub async fn run<T, H>(
        self,
        held: H,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<(T, H), JoinError>
    where
        T: Send + 'static,
        H: Send + 'static,
    {
        let run = move || {
            let made = work();
            drop(self);
            (made, held)
        };
        task::spawn_blocking(run).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_caller_that_goes_away_frees_nothing_before_the_end() {
        let turns = Turns::new(1);
        let room = Arc::new(Semaphore::new(1));
        let held = room.clone().acquire_owned().await.unwrap();
        let (begun, begins) = oneshot::channel();
        let (end, ends) = mpsc::channel::<()>();
        let caller = tokio::spawn({
            let turns = turns.clone();
            async move {
                let work = move || {
                    begun.send(()).unwrap();
                    ends.recv().unwrap();
                };
                turns.run(held, work).await.map(|(done, _)| done)
            }
        });
        begins.await.unwrap();
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        let free = (turns.0.available_permits(), room.available_permits());
        assert_eq!(free, (0, 0));
        end.send(()).unwrap();
        // Both come back; this waits for ever if one does not.
        let _ = turns.0.acquire().await.unwrap();
        let _ = room.acquire().await.unwrap();
    }

    #[tokio::test]
    async fn what_was_held_comes_back() {
        let turns = Turns::new(1);
        assert_eq!(turns.run(7, || 8).await.unwrap(), (8, 7));
        assert_eq!(turns.0.available_permits(), 1);
    }
}
