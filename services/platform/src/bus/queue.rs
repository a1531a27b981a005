//! What is in the stream of jobs: which stream it is, how far a role has read, and taking a message back out.

use async_nats::jetstream::{context::ConsumerInfoErrorKind, stream::Info};
use atelier_proto::job::JobKind;

use super::{Bus, BusError};

/// The stream of jobs as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobsStream {
    /// When it was made, milliseconds since 1970. Another value is another stream, whose sequence numbers mean something else.
    pub epoch: u64,
}

/// How far the workers of a role have read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleRead {
    /// Sequence number up to which they were given messages; what is later still waits, or was taken out.
    pub delivered: u64,
    /// How many messages still wait for them. With none, whatever was thought to wait is gone.
    pub waiting: u64,
}

impl From<&Info> for JobsStream {
    fn from(info: &Info) -> Self {
        Self {
            epoch: u64::try_from(info.created.unix_timestamp_nanos() / 1_000_000).unwrap_or(0),
        }
    }
}

impl Bus {
    /// The stream of jobs as it is; an error when there is none.
    pub async fn jobs_stream(&self) -> Result<JobsStream, BusError> {
        let name = self.names.jobs_stream();
        let stream = self.jetstream.get_stream(name).await;
        stream
            .map(|stream| JobsStream::from(stream.cached_info()))
            .map_err(|error| BusError::jetstream("looking at the stream of jobs", error))
    }

    /// How far the workers of a role have read. None when the role has no consumer yet.
    pub async fn read_so_far(
        &self,
        kind: JobKind,
        model: &str,
    ) -> Result<Option<RoleRead>, BusError> {
        let failed = |error: &dyn std::fmt::Display| {
            BusError::jetstream("asking how far a role has read", error)
        };
        let stream = self
            .jetstream
            .get_stream_no_info(self.names.jobs_stream())
            .await
            .map_err(|error| failed(&error))?;
        match stream.consumer_info(self.names.consumer(kind, model)).await {
            Ok(info) => Ok(Some(RoleRead {
                delivered: info.delivered.stream_sequence,
                waiting: info.num_pending,
            })),
            Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Takes a message out of the stream, so that no worker spends time on it. One that is not there any more is no error.
    pub async fn withdraw(&self, sequence: u64) {
        let taken = async {
            let stream = self
                .jetstream
                .get_stream_no_info(self.names.jobs_stream())
                .await
                .map_err(|error| error.to_string())?;
            stream
                .delete_message(sequence)
                .await
                .map_err(|error| error.to_string())
        };
        if let Err(reason) = taken.await {
            tracing::debug!(sequence, reason, "a message was not withdrawn");
        }
    }
}
