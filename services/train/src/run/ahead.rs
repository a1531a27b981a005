//! Makes the batches of coming steps on another thread, so that the network never waits for the composer.

use std::{
    sync::mpsc::{Receiver, sync_channel},
    thread,
};

/// Batches that wait at most.
const WAITING: usize = 4;

/// What `make` makes of `first`, `first + 1`, ... in order, some steps ahead. The thread ends when the receiver is dropped.
pub fn ahead<T: Send + 'static>(
    first: u64,
    mut make: impl FnMut(u64) -> T + Send + 'static,
) -> Receiver<T> {
    let (sender, receiver) = sync_channel(WAITING);
    thread::spawn(move || {
        // Threads of libtorch are counted for every thread that calls it.
        tch::set_num_threads(1);
        for step in first.. {
            if sender.send(make(step)).is_err() {
                return;
            }
        }
    });
    receiver
}
