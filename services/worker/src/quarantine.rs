//! What coordinators keep this worker from, because it keeps failing at it: no more jobs of that kind are taken for a while.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_nats::Subscriber;
use atelier_proto::{decode, job::JobKind, signal::Quarantine};
use futures::StreamExt;
use tokio::{sync::watch, time::Instant};

use crate::{lease, shared::Shared};

/// Longest quarantine that is obeyed, whatever a message says.
const LONGEST: Duration = Duration::from_secs(3_600);

/// Kinds of jobs that this worker is kept from, each until some time.
#[derive(Debug)]
pub struct Kept(watch::Sender<BTreeMap<JobKind, Instant>>);

impl Default for Kept {
    fn default() -> Self {
        Self(watch::channel(BTreeMap::new()).0)
    }
}

impl Kept {
    /// No jobs of `kind` for this long from `now`. A later end stays, unless the time is zero: that ends it.
    fn keep_from(&self, kind: JobKind, time: Duration, now: Instant) {
        self.0.send_modify(|kept| {
            if time.is_zero() {
                kept.remove(&kind);
                return;
            }
            let until = now + time.min(LONGEST);
            let known = kept.entry(kind).or_insert(until);
            *known = until.max(*known);
        });
    }

    /// Until when no jobs of `kind` are taken; none when they are.
    pub fn until(&self, kind: JobKind, now: Instant) -> Option<Instant> {
        let until = self.0.borrow().get(&kind).copied();
        until.filter(|until| *until > now)
    }

    /// Kinds that are not taken.
    pub fn kinds(&self, now: Instant) -> Vec<JobKind> {
        let all = JobKind::ALL.into_iter();
        all.filter(|kind| self.until(*kind, now).is_some())
            .collect()
    }

    /// Waits until jobs of `kind` are taken.
    pub async fn taken(&self, kind: JobKind) {
        let mut changes = self.0.subscribe();
        while let Some(until) = self.until(kind, Instant::now()) {
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                // The sender lives in self, so that this cannot fail.
                _ = changes.changed() => {}
            }
        }
    }
}

/// Subscribes to what coordinators advise.
pub async fn subscribe(shared: &Shared) -> Result<Subscriber, atelier_platform::BusError> {
    let subject = shared.bus.names().quarantine(shared.worker);
    shared.bus.subscribe(subject, None).await
}

/// Obeys until the process is to end.
pub async fn run(shared: Arc<Shared>, mut advice: Subscriber) -> anyhow::Result<()> {
    let soft = shared.life.soft();
    loop {
        let message = tokio::select! {
            message = advice.next() => message,
            () = soft.cancelled() => return Ok(()),
        };
        let Some(message) = message else {
            anyhow::bail!("the subscription to quarantines ended");
        };
        match decode::<Quarantine>(&message.payload) {
            Ok(advice) => {
                let Quarantine { kind, for_ms } = advice.body;
                tracing::warn!(
                    kind = kind.as_str(),
                    for_ms,
                    "kept from jobs that keep failing here"
                );
                let time = Duration::from_millis(for_ms);
                shared.kept.keep_from(kind, time, Instant::now());
                // The farm shall see at once that it was heard.
                lease::beat(&shared).await;
            }
            Err(error) => {
                shared.metrics.malformed.inc();
                tracing::warn!(%error, "a quarantine that cannot be read");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_kept_for_its_own_time_and_never_for_ever() {
        let kept = Kept::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(kept.kinds(start).is_empty());
        kept.keep_from(JobKind::Render, Duration::from_secs(20), start);
        kept.keep_from(JobKind::Render, Duration::from_secs(10), start);
        kept.keep_from(JobKind::Plan, Duration::MAX, start);
        assert_eq!(kept.kinds(at(15)), [JobKind::Plan, JobKind::Render]);
        assert_eq!(kept.until(JobKind::Render, at(15)), Some(at(20)));
        assert_eq!(kept.kinds(at(20)), [JobKind::Plan]);
        assert!(kept.kinds(start + LONGEST).is_empty());
        kept.keep_from(JobKind::Plan, Duration::ZERO, at(20));
        assert!(kept.kinds(at(20)).is_empty());
    }
}
