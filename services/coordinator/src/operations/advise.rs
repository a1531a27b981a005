//! Advising workers to leave the jobs that they keep failing at to others.

use atelier_proto::{WorkerId, encode, job::JobKind, signal::Quarantine};

use crate::farm::{Evidence, Farm};

/// Weighs what committed reports say of workers, and tells those that are to be kept from something.
pub async fn weigh(farm: &Farm, evidence: &[Evidence]) {
    for one in evidence {
        farm.trust.weigh(one);
        let reporter = (!one.done).then_some(&one.worker);
        for worker in one.before.iter().chain(reporter) {
            advise(farm, *worker, one.kind).await;
        }
    }
}

/// Tells a worker that it is kept from jobs of `kind`, if it is and others are there to do them. A lost message costs nothing: every heartbeat
/// that does not show the quarantine brings it again.
pub async fn advise(farm: &Farm, worker: WorkerId, kind: JobKind) {
    let Some(for_ms) = farm.trust.kept_from(worker, kind) else {
        return;
    };
    if farm.workers.others(kind, &[worker]) {
        let (name, kind_word) = (farm.workers.name(worker), kind.as_str());
        tracing::info!(%worker, name, kind = kind_word, for_ms, "keeping a worker from jobs that it keeps failing at");
        tell(farm, worker, Quarantine { kind, for_ms }).await;
    }
}

/// Lets a worker that is kept from jobs of `kind` do them again, when nobody else is left who does.
pub async fn release(farm: &Farm, worker: WorkerId, kind: JobKind) {
    if !farm.workers.others(kind, &[worker]) {
        let (name, kind_word) = (farm.workers.name(worker), kind.as_str());
        tracing::info!(%worker, name, kind = kind_word, "letting the last worker of a role off its quarantine");
        tell(farm, worker, Quarantine { kind, for_ms: 0 }).await;
    }
}

async fn tell(farm: &Farm, worker: WorkerId, advice: Quarantine) {
    let subject = farm.bus.names().quarantine(worker);
    if let Err(error) = farm.bus.publish(subject, encode(&advice, None)).await {
        tracing::debug!(%worker, %error, "a worker was not advised");
    }
}
