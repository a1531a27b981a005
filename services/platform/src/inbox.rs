//! The inbox of a thread.

use tokio::sync::mpsc;

/// Waits for what comes next; none once nobody can send any more.
///
/// Before it falls asleep it lets others run: where they keep all cores busy, one of them is about to send something, and to wake a thread up takes
/// longer than many a thing that it is woken up for. Where a core is free this takes no time.
pub fn next<T>(inbox: &mut mpsc::Receiver<T>) -> Option<T> {
    if inbox.is_empty() {
        std::thread::yield_now();
    }
    inbox.blocking_recv()
}
