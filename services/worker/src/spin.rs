//! How libtorch's threads wait for each other on a CPU: asleep, unless the environment says otherwise.
//!
//! libgomp spins by default. Where other work holds a core, a thread then burns what the one that it waits for needs. It reads the
//! environment when it is loaded, before `main`, so that a process which was started without a word on it starts itself once more.

use std::{env, os::unix::process::CommandExt, process::Command};

/// What libgomp reads, and what it is told: <https://gcc.gnu.org/onlinedocs/libgomp/Environment-Variables.html>.
const POLICY: (&str, &str) = ("OMP_WAIT_POLICY", "passive");
/// Says the same in numbers; whoever sets it knows better.
const SPINS: &str = "GOMP_SPINCOUNT";

/// Replaces the process by itself with threads that sleep, unless the environment already has a word on it. Comes back where that is so, and
/// where it cannot be done: then threads spin, which is slower and not wrong.
pub fn rest() {
    if env::var_os(POLICY.0).is_some() || env::var_os(SPINS).is_some() {
        return;
    }
    let Ok(program) = env::current_exe() else {
        return;
    };
    let mut arguments = env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    let error = again.args(arguments).env(POLICY.0, POLICY.1).exec();
    eprintln!(
        "atelier-worker: {}={} could not be set: {error}",
        POLICY.0, POLICY.1
    );
}
