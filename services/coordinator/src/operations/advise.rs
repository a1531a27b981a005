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
    if !farm.workers.others(kind, &[worker]) {
        return;
    }
    let name = farm.workers.name(worker);
    tracing::info!(%worker, name, kind = kind.as_str(), for_ms, "keeping a worker from jobs that it keeps failing at");
    let subject = farm.bus.names().quarantine(worker);
    let message = encode(&Quarantine { kind, for_ms }, None);
    if let Err(error) = farm.bus.publish(subject, message).await {
        tracing::debug!(%worker, %error, "a worker was not advised");
    }
}
