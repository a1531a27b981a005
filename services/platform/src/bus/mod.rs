//! NATS: a connection that never gives up, the stream of jobs with its consumers, and requests that wait for an answer.
//!
//! Nothing is kept here that PostgreSQL does not know: a wiped NATS is set up again and the work sent again.

mod connect;
mod jobs;
mod pull;
mod queue;
mod request;

use async_nats::jetstream;
use atelier_proto::{DecodeError, subject::BadToken, subject::Names};
use tokio::sync::watch;

pub use connect::BusOptions;
pub use jobs::{ACK_WAIT, Offered};
pub use pull::{Delivery, Puller, Urgency};
pub use queue::{JobsStream, RoleRead};

use crate::telemetry::{Latency, Metrics};

/// The bus of one farm. Clones share the connection.
#[derive(Clone, Debug)]
pub struct Bus {
    client: async_nats::Client,
    jetstream: jetstream::Context,
    names: Names,
    replicas: usize,
    connections: watch::Receiver<u64>,
    latency: Latency,
}

/// Why the bus did not do it.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The prefix or a model name does not fit into a subject.
    #[error(transparent)]
    Token(#[from] BadToken),
    /// The connection could not even be set up: bad URL, credentials file missing.
    #[error("cannot connect to NATS at {url}: {reason}")]
    Connect {
        /// Where, without credentials.
        url: String,
        /// Why.
        reason: String,
    },
    /// JetStream refused; usually another try after [`Bus::ensure_jobs`] does better.
    #[error("{what}: {reason}")]
    JetStream {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        reason: String,
    },
    /// Nobody listens on the subject at the moment.
    #[error("nobody answers on {0}")]
    NoResponders(String),
    /// No answer in time.
    #[error("no answer on {0} in time")]
    TimedOut(String),
    /// Anything else between us and the server.
    #[error("NATS: {0}")]
    Client(String),
    /// The answer is not what it should be.
    #[error("answer on {subject}: {source}")]
    Answer {
        /// Where it came from.
        subject: String,
        /// What is wrong.
        source: DecodeError,
    },
}

/// The word that metrics have for how a call ended.
fn outcome<T>(result: &Result<T, BusError>) -> &'static str {
    if result.is_ok() { "ok" } else { "failed" }
}

impl BusError {
    fn jetstream(what: &'static str, error: impl std::fmt::Display) -> Self {
        Self::JetStream {
            what,
            reason: error.to_string(),
        }
    }
}

impl Bus {
    /// The same bus, which says on `registry` how long it takes.
    pub fn measured(self, registry: &Metrics) -> Self {
        let help = "Seconds until NATS or whoever answers there did, by operation (publish: a job is in the stream; report: a coordinator answered) and outcome: ok or failed.";
        Self {
            latency: Latency::new(registry, "bus_seconds", help),
            ..self
        }
    }

    /// The names of this farm.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The connection, for subscriptions.
    pub fn client(&self) -> &async_nats::Client {
        &self.client
    }

    /// Whether the connection stands.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    /// Counts connections: changes whenever the connection was made anew, and so whatever core NATS carried meanwhile is lost.
    pub fn connections(&self) -> watch::Receiver<u64> {
        self.connections.clone()
    }

    /// Sends a signal that may get lost.
    pub async fn publish(&self, subject: String, bytes: Vec<u8>) -> Result<(), BusError> {
        self.client
            .publish(subject, bytes.into())
            .await
            .map_err(|error| BusError::Client(error.to_string()))
    }

    /// Subscribes to signals; with a `group`, each reaches one member.
    pub async fn subscribe(
        &self,
        subject: String,
        group: Option<String>,
    ) -> Result<async_nats::Subscriber, BusError> {
        let subscribed = match group {
            None => self.client.subscribe(subject).await,
            Some(group) => self.client.queue_subscribe(subject, group).await,
        };
        subscribed.map_err(|error| BusError::Client(error.to_string()))
    }

    /// Sends everything that is still in buffers, at most for a moment.
    pub async fn flush(&self) {
        let sent = tokio::time::timeout(std::time::Duration::from_secs(2), self.client.flush());
        if !matches!(sent.await, Ok(Ok(()))) {
            tracing::warn!("NATS did not take what was buffered");
        }
    }
}
