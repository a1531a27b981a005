//! What all parts of a coordinator share.

mod arrival;
mod changes;
mod clock;
mod end_rates;
mod pass;
mod posted;
mod reported;
mod secrets;
mod trust;
mod turns;
mod webhooks;
mod workers;

use std::{ops::Deref, sync::Arc};

use atelier_domain::Policy;
use atelier_platform::{Artifacts, Bus, Lifecycle, Pulses, telemetry::Spans};
use atelier_proto::RequestId;
use tokio::sync::{Notify, mpsc, watch};

pub use arrival::Arrival;
pub use changes::{Changes, Watch};
pub use clock::Ids;
pub use end_rates::EndRates;
pub use pass::Pass;
pub use posted::PostedJobs;
pub use reported::Reported;
pub use secrets::{Secrets, Use, mac};
pub use trust::{Evidence, Trust};
pub use turns::{Turn, Turns};
pub use webhooks::Webhooks;
pub use workers::Workers;

use crate::{
    metrics::Metrics,
    operations::{submit::Waiting, webhooks::Terms},
    store::{Place, Store},
};

/// A coordinator's hands. Clones share everything.
#[derive(Clone)]
pub struct Farm(Arc<Parts>);

/// What they are: stores, bus, and what is kept in memory.
pub struct Parts {
    /// PostgreSQL.
    pub store: Store,
    /// NATS.
    pub bus: Bus,
    /// The object store.
    pub artifacts: Artifacts,
    /// What is counted.
    pub metrics: Metrics,
    /// Traces over OTLP.
    pub spans: Spans,
    /// Whether the loops turn.
    pub pulses: Pulses,
    /// When and how often jobs are tried again.
    pub policy: Policy,
    /// The model that the workers have loaded.
    pub model: Arc<str>,
    /// New ids and seeds.
    pub ids: Ids,
    /// Wakes dispatch: some job may be ready, or there is room for one.
    pub ready: Arc<Notify>,
    /// Which jobs may go out as soon as they are ready.
    pub pass: Pass,
    /// Says which requests changed, to whoever watches them.
    pub changes: Changes,
    /// The workers that were heard.
    pub workers: Workers,
    /// Which of them keep failing at what.
    pub trust: Trust,
    /// How fast each tenant's requests ended lately.
    pub end_rates: EndRates,
    /// Active requests that a tenant without a limit of its own may have.
    pub queue_limit: u64,
    /// Wakes whoever tells ends.
    pub webhooks: Webhooks,
    /// What the command line says of that.
    pub webhook_terms: Terms,
    /// How callers reach this API, where the farm was told.
    pub public_url: Option<Arc<str>>,
    /// Jobs whose messages this coordinator put into the stream.
    pub posted: PostedJobs,
    /// Attempts whose reports have arrived.
    pub reported: Reported,
    /// What this farm signs with.
    pub secrets: Secrets,
    /// Turns at decoding the pictures that users send.
    pub decoding: Turns,
    /// Start and end of this process.
    pub life: Lifecycle,
    /// Epoch of the stream of jobs, 0 while there is none.
    pub stream: watch::Receiver<u64>,
    /// Submits that wait for their commit.
    pub intake: mpsc::Sender<Waiting>,
    /// Requests whose trace can be written.
    pub traces: mpsc::Sender<RequestId>,
}

impl Deref for Farm {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Farm {
    /// Puts them together.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Wakes dispatch, unless the queue is so full that it would find room for a few jobs only: then the next reports wake it, or its own look
    /// twice a second. With other coordinators nobody knows how full it is.
    pub fn claim_if_worth_it(&self) {
        if self.store.others() || self.pass.is_worth_a_claim() {
            self.ready.notify_one();
        }
    }

    /// Wakes dispatch for the first jobs of new requests. Plans that are paced wait for renders anyway, and one claim takes those of many submits.
    pub fn claim_first_jobs(&self) {
        match self.pass.paced_plans() {
            Some(_) => self.claim_if_worth_it(),
            None => self.ready.notify_one(),
        }
    }

    /// Epoch of the stream of jobs; none while nothing can be published.
    pub fn epoch(&self) -> Option<u64> {
        let epoch = *self.stream.borrow();
        (epoch > 0 && self.bus.is_connected()).then_some(epoch)
    }

    /// Takes a message out of the stream, so that nobody begins what is not needed. One that went down with an earlier stream is left alone.
    pub async fn withdraw(&self, place: Place) {
        if place.epoch == *self.stream.borrow() {
            self.bus.withdraw(place.sequence).await;
        }
    }
}
