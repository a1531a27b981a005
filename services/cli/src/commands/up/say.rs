//! Where a farm's steps are told: to the terminal, or to the log and whoever waits for the farm.

use std::{
    io::Write,
    sync::atomic::{AtomicBool, Ordering},
};

/// Whether this process has left the terminal; somebody reads its stdout until the farm is ready.
static TO_LOG: AtomicBool = AtomicBool::new(false);

/// From now on steps go to stderr with the time, which is the log, and to stdout.
pub fn to_log() {
    TO_LOG.store(true, Ordering::Relaxed);
}

/// Tells a step of the farm.
pub fn say(step: String) {
    let step = crate::show::multiline(&step);
    if TO_LOG.load(Ordering::Relaxed) {
        eprintln!("{} {step}", jiff::Timestamp::now());
        tell(&step);
    } else {
        eprintln!("atelier: {step}");
    }
}

/// Writes to stdout; after the start nobody reads it any more, and that is fine.
pub fn tell(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
