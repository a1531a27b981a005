//! What stays in a device's memory, and whether it fits: counted from the headers of checkpoints before any tensor is read.

use std::fmt::Write as _;

use atelier_proto::job::JobKind;

/// Least room to work in beside the weights, in bytes: states, keys and values, libtorch's own buffers.
const LEAST_WORK: u64 = 256 << 20;
/// Room to work in as a share of the weights: one part of so many.
const WORK_SHARE: u64 = 8;

/// A network that stays on the device as long as the worker runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resident {
    /// What it is, for people.
    pub name: String,
    /// Bytes of its weights in the kind that the device computes in.
    pub bytes: u64,
    /// Roles that need it.
    pub roles: Vec<JobKind>,
    /// Why it is there, or what it shares.
    pub why: &'static str,
}

/// Everything that is to be on one device.
#[derive(Clone, Debug)]
pub struct Residency {
    /// The device's name.
    pub device: String,
    /// Bytes that are free there; none where that is not known.
    pub free: Option<u64>,
    /// What stays.
    pub residents: Vec<Resident>,
}

/// It does not fit.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TooLarge(String);

impl Residency {
    /// Bytes that `roles` take: weights and room to work in.
    pub fn needs(&self, roles: &[JobKind]) -> u64 {
        let needed = |resident: &&Resident| resident.roles.iter().any(|role| roles.contains(role));
        let weights = self
            .residents
            .iter()
            .filter(needed)
            .map(|resident| resident.bytes)
            .sum();
        with_work(weights)
    }

    /// Refuses what does not fit, with a sentence that says what would.
    pub fn check(&self, roles: &[JobKind]) -> Result<(), TooLarge> {
        let needs = self.needs(roles);
        let Some(free) = self.free.filter(|free| *free < needs) else {
            return Ok(());
        };
        let mut sentence = format!(
            "{} has {} free, {} are needed ({} with room to work in)",
            self.device,
            size(free),
            size(needs),
            self.listed(roles)
        );
        let fitting = subsets(roles)
            .into_iter()
            .filter(|some| !some.is_empty() && self.needs(some) <= free)
            .max_by_key(Vec::len);
        let _ = match fitting {
            Some(some) => {
                let names: Vec<&str> = some.iter().map(|role| role.as_str()).collect();
                let names = names.join(",");
                write!(
                    sentence,
                    "; --roles {names} would fit ({}), or a device with {} free",
                    size(self.needs(&some)),
                    size(needs)
                )
            }
            None => write!(
                sentence,
                "; no role of it fits: use a smaller checkpoint, or a device with {} free",
                size(needs)
            ),
        };
        Err(TooLarge(sentence))
    }

    fn listed(&self, roles: &[JobKind]) -> String {
        let needed = |resident: &&Resident| resident.roles.iter().any(|role| roles.contains(role));
        let parts: Vec<String> = self
            .residents
            .iter()
            .filter(needed)
            .map(|resident| format!("{} {}", resident.name, size(resident.bytes)))
            .collect();
        parts.join(", ")
    }

    /// One line for each network, and one for the whole.
    pub fn lines(&self, roles: &[JobKind]) -> Vec<String> {
        let mut lines: Vec<String> = self
            .residents
            .iter()
            .map(|resident| {
                let stays = resident.roles.iter().any(|role| roles.contains(role));
                let verb = if stays { "stays" } else { "is left out" };
                format!(
                    "{} ({}) {verb}: {}",
                    resident.name,
                    size(resident.bytes),
                    if stays {
                        resident.why
                    } else {
                        "no role here needs it"
                    }
                )
            })
            .collect();
        let free = match self.free {
            Some(free) => format!("{} free", size(free)),
            None => "how much is free is not known".into(),
        };
        lines.push(format!(
            "{}: {} with room to work in, {free}",
            self.device,
            size(self.needs(roles))
        ));
        lines
    }
}

/// Weights and room to work in, in bytes.
pub fn with_work(weights: u64) -> u64 {
    weights + (weights / WORK_SHARE).max(LEAST_WORK)
}

/// Every choice of some roles.
fn subsets(roles: &[JobKind]) -> Vec<Vec<JobKind>> {
    let chosen = |bits: usize| {
        let role = |(index, role): (usize, &JobKind)| (bits >> index & 1 == 1).then_some(*role);
        roles.iter().enumerate().filter_map(role).collect()
    };
    (0..1 << roles.len().min(JobKind::ALL.len()))
        .map(chosen)
        .collect()
}

/// Bytes for people: `8.9 GB`, `540 MB`.
pub fn size(bytes: u64) -> String {
    let bytes = bytes as f64;
    if bytes >= 1e9 {
        format!("{:.1} GB", bytes / 1e9)
    } else {
        format!("{:.0} MB", (bytes / 1e6).ceil())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1_000_000_000;

    fn residency(free: Option<u64>) -> Residency {
        let resident = |name: &str, bytes, roles: &[JobKind]| Resident {
            name: name.into(),
            bytes,
            roles: roles.to_vec(),
            why: "it is needed",
        };
        Residency {
            device: "cuda:0".into(),
            free,
            residents: vec![
                resident("text encoder", 8 * GB, &[JobKind::Plan, JobKind::Render]),
                resident("transformer", 8 * GB, &[JobKind::Render]),
                resident("critic", 4 * GB, &[JobKind::Critique]),
            ],
        }
    }

    #[test]
    fn what_fits_is_taken_and_what_does_not_is_told_what_would() {
        let all = JobKind::ALL;
        assert_eq!(residency(None).needs(&all), 20 * GB + 20 * GB / 8);
        assert!(residency(Some(23 * GB)).check(&all).is_ok());
        assert!(residency(None).check(&all).is_ok());
        let sentence = residency(Some(14 * GB))
            .check(&all)
            .unwrap_err()
            .to_string();
        assert_eq!(
            sentence,
            "cuda:0 has 14.0 GB free, 22.5 GB are needed (text encoder 8.0 GB, transformer 8.0 GB, critic 4.0 GB with room to work in); \
             --roles plan,critique would fit (13.5 GB), or a device with 22.5 GB free"
        );
        let sentence = residency(Some(GB)).check(&all).unwrap_err().to_string();
        assert!(sentence.contains("no role of it fits"), "{sentence}");
        // Two networks that one role needs are both counted, a shared one once.
        assert_eq!(residency(None).needs(&[JobKind::Render]), 18 * GB);
    }

    #[test]
    fn the_plan_says_what_stays_and_why() {
        let lines = residency(Some(30 * GB)).lines(&[JobKind::Critique]);
        assert_eq!(
            lines[0],
            "text encoder (8.0 GB) is left out: no role here needs it"
        );
        assert_eq!(lines[2], "critic (4.0 GB) stays: it is needed");
        assert_eq!(
            lines[3],
            "cuda:0: 4.5 GB with room to work in, 30.0 GB free"
        );
    }
}
