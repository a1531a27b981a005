//! What all parts of a coordinator share.

mod changes;
mod clock;
mod end_rates;
mod posted;
mod trust;
mod workers;

use std::sync::Arc;

use atelier_domain::Policy;
use atelier_platform::{Artifacts, Bus};
use atelier_proto::RequestId;
use tokio::sync::{Notify, mpsc, watch};

pub use changes::{Changes, Watch};
pub use clock::Ids;
pub use end_rates::EndRates;
pub use posted::PostedJobs;
pub use trust::{Evidence, Trust};
pub use workers::Workers;

use crate::{
    metrics::Metrics,
    operations::submit::Waiting,
    store::{Place, Store},
};

/// A coordinator's hands: stores, bus, and what it keeps in memory. Clones share everything.
#[derive(Clone)]
pub struct Farm {
    /// PostgreSQL.
    pub store: Store,
    /// NATS.
    pub bus: Bus,
    /// The object store.
    pub artifacts: Artifacts,
    /// What is counted.
    pub metrics: Metrics,
    /// When and how often jobs are tried again.
    pub policy: Policy,
    /// The model that the workers have loaded.
    pub model: Arc<str>,
    /// New ids and seeds.
    pub ids: Ids,
    /// Wakes dispatch: some job may be ready, or there is room for one.
    pub ready: Arc<Notify>,
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
    /// Jobs whose messages this coordinator put into the stream.
    pub posted: PostedJobs,
    /// Epoch of the stream of jobs, 0 while there is none.
    pub stream: watch::Receiver<u64>,
    /// Submits that wait for their commit.
    pub intake: mpsc::Sender<Waiting>,
    /// Requests whose trace can be written.
    pub traces: mpsc::Sender<RequestId>,
}

impl Farm {
    /// Takes a message out of the stream, so that nobody begins what is not needed. One that went down with an earlier stream is left alone.
    pub async fn withdraw(&self, place: Place) {
        if place.epoch == *self.stream.borrow() {
            self.bus.withdraw(place.sequence).await;
        }
    }
}
