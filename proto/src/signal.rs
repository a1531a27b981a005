//! Signals on core NATS, never stored: progress, heartbeats, cancels, quarantines. Losing one costs nothing but freshness.

use serde::{Deserialize, Serialize};

use crate::{JobId, RequestId, WorkerId, job::JobKind};

/// A job is on the device: step 0 says that it begins, and is sent before it does; of jobs that take next to no time the next heartbeat says it
/// instead. Also the sign of life that extends the job's lease.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The job.
    pub job: JobId,
    /// Which attempt.
    pub attempt: u32,
    /// The request it belongs to.
    pub request: RequestId,
    /// Who does it.
    pub worker: WorkerId,
    /// What is being done.
    pub kind: JobKind,
    /// Steps done.
    pub step: u32,
    /// Steps in all; 0 when unknown.
    pub total: u32,
    /// A small PNG of how the picture looks so far.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "serde_bytes_option"
    )]
    pub preview_png: Option<Vec<u8>>,
    /// Jobs in the same hands, with their attempts, that have left the device: should the worker die now, it was not of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub computed: Vec<(JobId, u32)>,
}

/// A worker is alive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Who.
    pub worker: WorkerId,
    /// Name for people: host and process id.
    pub name: String,
    /// Kinds of jobs it takes.
    pub roles: Vec<JobKind>,
    /// Model it has loaded.
    pub model: String,
    /// Device it computes on, for example `cpu` or `cuda:0`.
    pub device: String,
    /// Jobs in its hands, with their attempts: leases are extended by this.
    pub holding: Vec<(JobId, u32)>,
    /// Whether it finishes what it has and takes nothing new.
    pub draining: bool,
    /// Those of `holding` that are on the device at this moment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on_device: Vec<(JobId, u32)>,
    /// Those of `holding` that have left the device.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub computed: Vec<(JobId, u32)>,
    /// Those of `roles` that it does not take at the moment, because it kept failing at them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept_from: Vec<JobKind>,
}

/// Stop working on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {
    /// Which request.
    pub request: RequestId,
}

/// A worker keeps failing at one kind of job and takes none of it for a while. Only advice: sent again when its next heartbeat shows that it
/// was not heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantine {
    /// Which kind.
    pub kind: JobKind,
    /// For how long from now, in milliseconds.
    pub for_ms: u64,
}

/// Bytes as MessagePack binary instead of an array of numbers.
mod serde_bytes_option {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(
        bytes: &Option<Vec<u8>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => serializer.serialize_bytes(bytes),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Vec<u8>>, D::Error> {
        struct Binary(Vec<u8>);
        impl<'de> Deserialize<'de> for Binary {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl<'de> de::Visitor<'de> for Visitor {
                    type Value = Binary;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("binary data")
                    }
                    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Binary, E> {
                        Ok(Binary(bytes.to_vec()))
                    }
                }
                deserializer.deserialize_bytes(Visitor)
            }
        }
        Ok(Option::<Binary>::deserialize(deserializer)?.map(|binary| binary.0))
    }
}
