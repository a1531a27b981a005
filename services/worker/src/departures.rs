//! Reports that leave together. While many jobs are in hands their reports wait for the next departure, and those of one kind of job are one request:
//! to carry, to save and to answer one costs as much as several that come at once.

use std::{
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use atelier_proto::{
    envelope::{MAX_BYTES, encode_long},
    job::JobKind,
    report::{MOST_TOGETHER, ReportAnswer, ReportAnswers, Reports},
};
use bytes::Bytes;
use futures::future::join_all;
use tokio::{sync::oneshot, time::Instant};

use crate::{hands::lock, outbox::PATIENCE, shared::Shared};

/// How often reports leave.
const BETWEEN: Duration = Duration::from_millis(5);

/// How long every report leaves alone after some that left together were not answered: an earlier release hears no such messages, and it may be that
/// this worker must not send them.
const ALONE: Duration = Duration::from_secs(60);

/// What is around a report in a message for several, and around all of them, takes fewer bytes each.
const AROUND: usize = 64;

/// Most bytes of reports in one message.
const MOST_BYTES: usize = MAX_BYTES - (MOST_TOGETHER + 1) * AROUND;

/// The reports that wait for the next departure.
#[derive(Debug, Default)]
pub struct Departures {
    /// By kind of job.
    waiting: [Mutex<Vec<Parcel>>; 3],
    alone_until: Mutex<Option<Instant>>,
}

/// An encoded report, and where its answer goes. Dropped without one, the report has to go alone.
#[derive(Debug)]
struct Parcel {
    message: Bytes,
    answer: oneshot::Sender<ReportAnswer>,
}

impl Departures {
    fn waiting(&self, kind: JobKind) -> MutexGuard<'_, Vec<Parcel>> {
        lock(&self.waiting[kind as usize])
    }

    fn is_open(&self, now: Instant) -> bool {
        lock(&self.alone_until).is_none_or(|until| until <= now)
    }

    fn close(&self, now: Instant) {
        *lock(&self.alone_until) = Some(now + ALONE);
    }
}

/// Waits for the next departure and sends an encoded report along with the others of its kind; none when it has to go alone.
pub async fn with_others(shared: &Shared, kind: JobKind, message: &Bytes) -> Option<ReportAnswer> {
    let departures = &shared.departures;
    let (answer, given) = oneshot::channel();
    if departures.is_open(Instant::now()) {
        let message = message.clone();
        departures.waiting(kind).push(Parcel { message, answer });
    } else {
        drop(answer);
    }
    tokio::time::sleep_until(next_departure(shared.started, Instant::now())).await;
    // Who wakes up first takes all of them along.
    let parcels = std::mem::take(&mut *departures.waiting(kind));
    join_all(
        loads(parcels)
            .into_iter()
            .map(|load| carry(shared, kind, load)),
    )
    .await;
    given.await.ok()
}

/// Divides parcels into messages. One that would be alone in its message is left out.
fn loads(parcels: Vec<Parcel>) -> Vec<Vec<Parcel>> {
    let mut loads: Vec<Vec<Parcel>> = Vec::new();
    let mut bytes = 0;
    for parcel in parcels {
        bytes += parcel.message.len();
        match loads.last_mut() {
            Some(load) if load.len() < MOST_TOGETHER && bytes <= MOST_BYTES => load.push(parcel),
            _ => {
                bytes = parcel.message.len();
                loads.push(vec![parcel]);
            }
        }
    }
    loads.retain(|load| load.len() > 1);
    loads
}

async fn carry(shared: &Shared, kind: JobKind, parcels: Vec<Parcel>) {
    let reports = Reports {
        reports: parcels.iter().map(|one| one.message.clone()).collect(),
    };
    let length: usize = reports.reports.iter().map(Bytes::len).sum();
    let length = length + (parcels.len() + 1) * AROUND;
    let message = encode_long(&reports, None, length).into();
    let subject = shared.bus.names().reports(kind);
    let answered = shared
        .bus
        .request::<ReportAnswers>(subject, message, PATIENCE);
    let answers = match answered.await {
        Ok(answer) if answer.body.answers.len() == parcels.len() => answer.body.answers,
        Ok(_) => {
            tracing::warn!(
                "reports that left together were not understood: each leaves alone for a while"
            );
            return shared.departures.close(Instant::now());
        }
        Err(error) => {
            // Each of them is sent again.
            shared.metrics.report_retries.inc_by(parcels.len() as u64);
            tracing::info!(%error, "reports that left together were not answered: each leaves alone for a while");
            return shared.departures.close(Instant::now());
        }
    };
    for (parcel, answer) in parcels.into_iter().zip(answers) {
        // Nobody waits for it where the process has to end.
        let _ = parcel.answer.send(answer);
    }
}

/// The departure after `now`; the first was at `first`.
fn next_departure(first: Instant, now: Instant) -> Instant {
    let between = BETWEEN.as_micros();
    let left = between - (now - first).as_micros() % between;
    now + Duration::from_micros(u64::try_from(left).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use atelier_proto::encode;

    use super::*;

    #[test]
    fn reports_that_are_ready_between_two_departures_leave_at_once() {
        let first = Instant::now();
        let after = |micros| next_departure(first, first + Duration::from_micros(micros)) - first;
        for micros in [0, 1, 4_999] {
            assert_eq!(after(micros), BETWEEN);
        }
        assert_eq!(after(5_000), 2 * BETWEEN);
    }

    #[test]
    fn every_message_fits_and_nothing_travels_alone_in_one_for_many() {
        let sizes = |sizes: &[usize]| {
            let parcels = sizes.iter().map(|&bytes| Parcel {
                message: vec![0; bytes].into(),
                answer: oneshot::channel().0,
            });
            let loads = loads(parcels.collect());
            for load in &loads {
                let reports = load.iter().map(|one| one.message.clone()).collect();
                assert!(encode(&Reports { reports }, None).len() <= MAX_BYTES);
            }
            loads.iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(sizes(&[]), Vec::<usize>::new());
        assert_eq!(sizes(&[10]), Vec::<usize>::new());
        assert_eq!(sizes(&[10, 10]), [2]);
        assert_eq!(
            sizes(&[10; 2 * MOST_TOGETHER + 3]),
            [MOST_TOGETHER, MOST_TOGETHER, 3]
        );
        assert_eq!(sizes(&[10; MOST_TOGETHER + 1]), [MOST_TOGETHER]);
        assert_eq!(sizes(&[10, MOST_BYTES, 10, MOST_BYTES - 10]), [2]);
        assert_eq!(sizes(&[MAX_BYTES, MAX_BYTES]), Vec::<usize>::new());
    }

    #[test]
    fn after_a_silence_each_leaves_alone_for_a_while() {
        let departures = Departures::default();
        let now = Instant::now();
        assert!(departures.is_open(now));
        departures.close(now);
        assert!(!departures.is_open(now + ALONE - BETWEEN));
        assert!(departures.is_open(now + ALONE));
    }
}
