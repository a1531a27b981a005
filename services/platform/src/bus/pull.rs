//! One pull request at a time on a consumer, for one job or a few, with an urgency: jobs go to idle workers before those that only want to
//! fetch ahead.

use std::time::Duration;

use async_nats::{
    Subscriber,
    jetstream::{
        self, AckKind,
        consumer::{PullConsumer, pull::BatchConfig},
    },
};
use atelier_proto::job::JobKind;
use bytes::Bytes;
use futures::StreamExt;

use super::{Bus, BusError, jobs::GROUP};

/// How long a pull request waits at the server. Short, because an idle worker's urgent request outlives its idleness.
const EXPIRES: Duration = Duration::from_secs(2);

/// How urgently a worker wants a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Its device is idle.
    Idle,
    /// It has one in its hands and would fetch the next one's inputs.
    Ahead,
}

/// Pulls the jobs of one role.
#[derive(Debug)]
pub struct Puller {
    bus: Bus,
    kind: JobKind,
    model: String,
    bound: Option<Bound>,
    connections: tokio::sync::watch::Receiver<u64>,
}

#[derive(Debug)]
struct Bound {
    consumer: PullConsumer,
    inbox: String,
    answers: Subscriber,
    /// Jobs that the last request may still bring.
    asked: usize,
}

/// A job as the stream delivered it. Unless it is acknowledged it comes again.
#[derive(Debug)]
pub struct Delivery {
    message: jetstream::Message,
}

impl Puller {
    /// A puller for jobs of `kind` and `model`. Stream and consumer are made when they are first needed, and again when they are gone.
    pub fn new(bus: &Bus, kind: JobKind, model: &str) -> Self {
        Self {
            bus: bus.clone(),
            kind,
            model: model.to_owned(),
            bound: None,
            connections: bus.connections(),
        }
    }

    /// The kind of jobs that it pulls.
    pub fn kind(&self) -> JobKind {
        self.kind
    }

    /// Asks for one job and waits for it some seconds; none when there was none in that time. After an error, wait a little and call again.
    pub async fn pull(&mut self, urgency: Urgency) -> Result<Option<Delivery>, BusError> {
        self.pull_some(urgency, 1).await
    }

    /// The same, but asks for up to `some` jobs, at least one; the others come by later calls, which ask again once all came or the wait is over.
    ///
    /// May be dropped halfway when [`Self::close`] follows; a job that is on its way then comes again after [`super::ACK_WAIT`] at the latest.
    pub async fn pull_some(
        &mut self,
        urgency: Urgency,
        some: usize,
    ) -> Result<Option<Delivery>, BusError> {
        let pulled = self.try_pull(urgency, some).await;
        if pulled.is_err() {
            self.bound = None;
        }
        pulled
    }

    /// Makes the stream and the consumer where they are missing, so that the first [`Self::pull`] is under way at once.
    pub async fn prepare(&mut self) -> Result<(), BusError> {
        if self.bound.is_none() {
            self.bound = Some(self.bind().await?);
        }
        Ok(())
    }

    /// Asks for nothing more and gives back what came meanwhile.
    pub async fn close(mut self) {
        let Some(mut bound) = self.bound.take() else {
            return;
        };
        if bound.answers.unsubscribe().await.is_err() {
            return;
        }
        while let Some(message) = bound.answers.next().await {
            if let Ok(Some(delivery)) = self.read(message) {
                delivery.give_back(None).await;
            }
        }
    }

    async fn try_pull(
        &mut self,
        urgency: Urgency,
        some: usize,
    ) -> Result<Option<Delivery>, BusError> {
        self.prepare().await?;
        self.connections.mark_unchanged();
        let bound = self.bound.as_mut().expect("prepared above");
        let batch = some.max(1);
        let request = BatchConfig {
            batch,
            expires: Some(EXPIRES),
            group: Some(GROUP.into()),
            priority: Some(match urgency {
                Urgency::Idle => 0,
                Urgency::Ahead => 1,
            }),
            ..BatchConfig::default()
        };
        if bound.asked == 0 {
            bound
                .consumer
                .request_batch(request, bound.inbox.clone().into())
                .await
                .map_err(|error| BusError::jetstream("asking for a job", error))?;
            bound.asked = batch;
        }
        let answer = tokio::select! {
            answer = tokio::time::timeout(EXPIRES + Duration::from_secs(2), bound.answers.next()) => answer,
            // The request went down with the connection; ask again on the new one.
            changed = self.connections.changed() => match changed {
                Ok(()) => return Err(BusError::Client("the connection was made anew".into())),
                Err(_) => return Err(BusError::Client("the connection is closed".into())),
            }
        };
        match answer {
            Err(_) => Err(BusError::TimedOut(bound.inbox.clone())),
            Ok(None) => Err(BusError::Client("the inbox was closed".into())),
            Ok(Some(message)) => {
                let is_job = matches!(
                    message.status.map(|status| status.as_u16()),
                    None | Some(200)
                );
                bound.asked = if is_job { bound.asked - 1 } else { 0 };
                self.read(message)
            }
        }
    }

    /// A job, or a status: the wait is over (408), or the consumer is gone (everything else).
    fn read(&self, message: async_nats::Message) -> Result<Option<Delivery>, BusError> {
        match message.status.map(|status| status.as_u16()) {
            None | Some(200) => Ok(Some(Delivery {
                message: jetstream::Message {
                    message,
                    context: self.bus.jetstream.clone(),
                },
            })),
            Some(404 | 408) => Ok(None),
            Some(status) => Err(BusError::JetStream {
                what: "waiting for a job",
                reason: format!("{status} {}", message.description.unwrap_or_default()),
            }),
        }
    }

    /// The consumer of the role. The stream is made only where there is none: a worker's user need not be allowed to, as long as coordinators are.
    async fn consumer(&self) -> Result<PullConsumer, BusError> {
        if let Some(consumer) = self.bus.try_consumer(self.kind, &self.model).await? {
            return Ok(consumer);
        }
        self.bus.ensure_jobs().await?;
        self.bus.ensure_consumer(self.kind, &self.model).await
    }

    async fn bind(&mut self) -> Result<Bound, BusError> {
        // The very first connection must not look like a new one later.
        let connected = self.connections.wait_for(|&count| count > 0).await;
        connected.map_err(|_| BusError::Client("the connection is closed".into()))?;
        let consumer = self.consumer().await?;
        let inbox = self.bus.client.new_inbox();
        let answers = self.bus.subscribe(inbox.clone(), None).await?;
        Ok(Bound {
            consumer,
            inbox,
            answers,
            asked: 0,
        })
    }
}

impl Delivery {
    /// The message.
    pub fn bytes(&self) -> &Bytes {
        &self.message.payload
    }

    /// Where it was published.
    pub fn subject(&self) -> &str {
        self.message.subject.as_str()
    }

    /// How many times the stream has delivered this message; 1 at first.
    pub fn deliveries(&self) -> i64 {
        self.message.info().map_or(1, |info| info.delivered)
    }

    /// The job is settled: it leaves the stream.
    pub async fn done(&self) {
        self.settle(AckKind::Ack).await;
    }

    /// Work goes on: the stream waits another [`super::ACK_WAIT`].
    pub async fn working(&self) {
        self.settle(AckKind::Progress).await;
    }

    /// Gives the job back; it is delivered again after `delay`.
    pub async fn give_back(&self, delay: Option<Duration>) {
        self.settle(AckKind::Nak(delay)).await;
    }

    /// Nobody can ever read this message: it leaves the stream.
    pub async fn discard(&self) {
        self.settle(AckKind::Term).await;
    }

    /// A lost acknowledgement costs a redelivery and nothing else, so that errors only get a log line.
    async fn settle(&self, kind: AckKind) {
        if let Err(error) = self.message.ack_with(kind).await {
            tracing::debug!(%error, "an acknowledgement was not sent");
        }
    }
}
