//! What processes used, from `/proc`: processor time of process trees and peak memory.

use std::{collections::HashMap, fs};

use anyhow::{Context, Result};

/// Ticks of `/proc/PID/stat` in a second; fixed on Linux.
const TICKS: f64 = 100.0;

/// Seconds of processor time that the processes called `roots` and their descendants used so far, dead children included.
pub fn cpu_seconds(roots: &[u32]) -> f64 {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let mut ticks: HashMap<u32, u64> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process may end while it is looked at; its parent counts it then.
        if let Some((parent, used)) = stat(pid) {
            children.entry(parent).or_default().push(pid);
            ticks.insert(pid, used);
        }
    }
    let mut left = roots.to_vec();
    let mut sum = 0;
    while let Some(pid) = left.pop() {
        sum += ticks.get(&pid).copied().unwrap_or(0);
        left.extend(children.remove(&pid).unwrap_or_default());
    }
    sum as f64 / TICKS
}

/// Parent and ticks of a process: its own and those of its children that were waited for.
fn stat(pid: u32) -> Option<(u32, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything.
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let used = number(11)? + number(12)? + number(13)? + number(14)?;
    Some((fields.get(1)?.parse().ok()?, used))
}

/// Most memory that a process ever held, in MB of 1,000,000 bytes.
pub fn peak_mb(pid: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: f64 = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .context("no VmHWM")?
        .parse()?;
    Ok(kib * 1_024.0 / 1e6)
}

/// Load average of the last minute: how busy the machine is with other things, too.
pub fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split(' ').next();
    first.and_then(|first| first.parse().ok()).unwrap_or(0.0)
}
