//! Seeds and ids that follow from a request's own: the same request makes the same ones on every machine.

use atelier_proto::{JobId, RequestId, job::JobKind};

use crate::Millis;

/// Output function of SplitMix64 (Steele, Lea, Flood 2014, <https://doi.org/10.1145/2714064.2660195>).
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Hashes a word sequence under `key`; its length goes in, so that `ab`, `c` and `a`, `bc` differ.
fn hash(key: u64, parts: &[&[u8]]) -> u64 {
    let mut state = mix(key ^ 0x9e37_79b9_7f4a_7c15);
    for part in parts {
        state = mix(state ^ part.len() as u64);
        for chunk in part.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            state = mix(state.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ mix(u64::from_le_bytes(word)));
        }
    }
    state
}

/// Seed of one job's noise or sampling. The first candidate of the first round of the only stage uses the request's seed itself,
/// so that the same seed draws the same picture with and without others beside it and rounds after it.
pub fn stage_seed(
    request_seed: u64,
    kind: JobKind,
    stage: &str,
    round: u32,
    candidate: u32,
) -> u64 {
    if round == 1 && candidate == 1 && (stage == "out" || stage.is_empty()) {
        return request_seed;
    }
    let (round, other) = (round.to_le_bytes(), candidate.to_le_bytes());
    let parts: [&[u8]; 4] = [kind.as_str().as_bytes(), stage.as_bytes(), &round, &other];
    hash(request_seed, of_candidate(&parts, candidate))
}

/// The last part names the candidate; the first one is named as if there were no others.
const fn of_candidate<'a>(parts: &'a [&'a [u8]], candidate: u32) -> &'a [&'a [u8]] {
    if candidate == 1 {
        parts.split_at(parts.len() - 1).0
    } else {
        parts
    }
}

/// Id of a job: sorts by `now`, and is made only of what is unique about it.
pub fn job_id(
    request: RequestId,
    kind: JobKind,
    stage: &str,
    round: u32,
    candidate: u32,
    now: Millis,
) -> JobId {
    let request = request.as_uuid();
    let (round, other) = (round.to_le_bytes(), candidate.to_le_bytes());
    let parts: [&[u8]; 5] = [
        request.as_bytes(),
        kind.as_str().as_bytes(),
        stage.as_bytes(),
        &round,
        &other,
    ];
    let parts = of_candidate(&parts, candidate);
    let mut random = [0; 10];
    random[..8].copy_from_slice(&hash(1, parts).to_le_bytes());
    random[8..].copy_from_slice(&hash(2, parts).to_le_bytes()[..2]);
    JobId::at(now, random)
}

/// Seed of what is random about one attempt of a job.
pub(crate) fn of_attempt(job: JobId, attempt: u32) -> u64 {
    hash(3, &[job.as_uuid().as_bytes(), &attempt.to_le_bytes()])
}
