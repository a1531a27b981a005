//! The stream of jobs: work queue, file storage, duplicates dropped by message id; one durable consumer a role.

use std::{future::Future, time::Duration};

use async_nats::jetstream::{
    ErrorCode,
    consumer::{AckPolicy, PriorityPolicy, PullConsumer, pull},
    message::PublishMessage,
    stream::{
        Config, ConsumerError, ConsumerErrorKind, DiscardPolicy, RetentionPolicy, StorageType,
    },
};
use atelier_proto::{envelope, job::JobKind, subject::check_token};

use super::{Bus, BusError, JobsStream, outcome};

/// How long a delivered job may go without an acknowledgement or a sign of work before it is delivered again.
pub const ACK_WAIT: Duration = Duration::from_secs(15);

/// Group of pull requests; all workers of a role are in it, and their urgency orders them.
pub(super) const GROUP: &str = "workers";

/// Within this time a second publish of the same job and attempt is dropped.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// Jobs that may wait in the stream; what does not fit stays ready in PostgreSQL.
const MOST_MESSAGES: i64 = 200_000;

/// Jobs of a role that may be in workers' hands. Must exceed the farm's slots, or the queue stalls.
const MOST_IN_HANDS: i64 = 20_000;

/// Pull requests of a role that may wait at once: workers times two.
const MOST_PULLS: i64 = 8_192;

/// A job is in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offered {
    /// It was there already.
    pub duplicate: bool,
    /// Its number in the stream.
    pub sequence: u64,
}

impl Bus {
    /// Makes the stream of jobs, or changes it to what this release wants. Cheap enough to be called after every doubt.
    pub async fn ensure_jobs(&self) -> Result<JobsStream, BusError> {
        let config = Config {
            name: self.names.jobs_stream(),
            subjects: vec![self.names.all_jobs()],
            retention: RetentionPolicy::WorkQueue,
            storage: StorageType::File,
            discard: DiscardPolicy::New,
            max_messages: MOST_MESSAGES,
            max_message_size: i32::try_from(envelope::MAX_BYTES).unwrap_or(i32::MAX),
            duplicate_window: DUPLICATE_WINDOW,
            num_replicas: self.replicas,
            ..Config::default()
        };
        self.jetstream
            .create_or_update_stream(config)
            .await
            .map(|info| JobsStream::from(&info))
            .map_err(|error| BusError::jetstream("making the stream of jobs", error))
    }

    /// Publishes a job; the returned future ends when the stream has it. `message_id` is that of [`atelier_proto::subject::message_id`].
    pub async fn offer(
        &self,
        subject: String,
        message_id: &str,
        bytes: Vec<u8>,
    ) -> Result<impl Future<Output = Result<Offered, BusError>> + Send + use<>, BusError> {
        let failed = |error| BusError::jetstream("publishing a job", error);
        let message = PublishMessage::build()
            .message_id(message_id)
            .payload(bytes.into());
        let sent = self
            .jetstream
            .send_publish(subject, message)
            .await
            .map_err(failed)?;
        let latency = self.latency.clone();
        let taken = async move {
            let taken = sent.await.map_err(failed)?;
            Ok(Offered {
                duplicate: taken.duplicate,
                sequence: taken.sequence,
            })
        };
        Ok(async move { latency.of("publish", outcome, taken).await })
    }

    /// Makes the durable consumer of a role, or finds it. The stream must exist.
    pub async fn ensure_consumer(
        &self,
        kind: JobKind,
        model: &str,
    ) -> Result<PullConsumer, BusError> {
        self.make_consumer(kind, model)
            .await?
            .map_err(|error| BusError::jetstream("making the consumer of a role", error))
    }

    /// The same; none when the stream does not exist.
    pub(super) async fn try_consumer(
        &self,
        kind: JobKind,
        model: &str,
    ) -> Result<Option<PullConsumer>, BusError> {
        match self.make_consumer(kind, model).await? {
            Ok(consumer) => Ok(Some(consumer)),
            Err(error) if is_without_stream(&error) => Ok(None),
            Err(error) => Err(BusError::jetstream("making the consumer of a role", error)),
        }
    }

    async fn make_consumer(
        &self,
        kind: JobKind,
        model: &str,
    ) -> Result<Result<PullConsumer, ConsumerError>, BusError> {
        check_token(model)?;
        let config = pull::Config {
            durable_name: Some(self.names.consumer(kind, model)),
            filter_subject: self.names.jobs_of(kind, model),
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_ack_pending: MOST_IN_HANDS,
            max_waiting: MOST_PULLS,
            priority_policy: PriorityPolicy::Prioritized,
            priority_groups: vec![GROUP.into()],
            ..pull::Config::default()
        };
        Ok(self
            .jetstream
            .create_consumer_on_stream(config, self.names.jobs_stream())
            .await)
    }
}

fn is_without_stream(error: &ConsumerError) -> bool {
    matches!(error.kind(), ConsumerErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}
