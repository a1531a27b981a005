//! The one encode/decode pair of all messages on NATS, and the envelope around them.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Version that this build writes, and the newest it reads.
pub const VERSION: u16 = 1;

/// Longest message that is decoded, in bytes (the bus itself allows 1 MiB).
pub const MAX_BYTES: usize = 1 << 20;

/// What every message travels in. Unknown fields are ignored; a newer `v` is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope<T> {
    /// Version of the message format.
    pub v: u16,
    /// W3C `traceparent` of whoever sent this, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// The message.
    pub body: T,
}

/// Why bytes are not a message.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Longer than [`MAX_BYTES`].
    #[error("message of {0} bytes is over the limit of {MAX_BYTES}")]
    TooLong(usize),
    /// Written by a newer release.
    #[error("message has version {0}, this build reads up to {VERSION}: update this process first")]
    Newer(u16),
    /// Not MessagePack of the expected shape.
    #[error("malformed message: {0}")]
    Malformed(#[from] rmp_serde::decode::Error),
    /// Well-formed, but breaks a rule of its type.
    #[error("invalid message: {0}")]
    Invalid(String),
}

#[derive(Deserialize)]
struct VersionOnly {
    v: u16,
}

/// Most messages are shorter, so that their buffer need not grow.
const USUAL: usize = 1_024;

/// Encodes `body` in an envelope of the current version.
pub fn encode<T: Serialize>(body: &T, trace: Option<&str>) -> Vec<u8> {
    encode_long(body, trace, USUAL)
}

/// The same where `body` is known to take about `length` bytes.
pub fn encode_long<T: Serialize>(body: &T, trace: Option<&str>, length: usize) -> Vec<u8> {
    let envelope = Envelope {
        v: VERSION,
        trace: trace.map(str::to_owned),
        body,
    };
    let mut bytes = Vec::with_capacity(length);
    let mut writer = rmp_serde::Serializer::new(&mut bytes).with_struct_map();
    // Our message types hold no maps with non-string keys and no unsized sequences, the only things this can fail on.
    envelope
        .serialize(&mut writer)
        .expect("messages always encode");
    bytes
}

/// Decodes an envelope; refuses what is too long, newer or malformed.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<Envelope<T>, DecodeError> {
    if bytes.len() > MAX_BYTES {
        return Err(DecodeError::TooLong(bytes.len()));
    }
    // Read once where all is well, which is nearly always.
    let read: Result<Envelope<T>, _> = from_slice(bytes);
    let v = match &read {
        Ok(envelope) => envelope.v,
        // Of what cannot be read it matters whether this build ever could.
        Err(_) => from_slice::<VersionOnly>(bytes)?.v,
    };
    if v > VERSION {
        return Err(DecodeError::Newer(v));
    }
    Ok(read?)
}

fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, rmp_serde::decode::Error> {
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
    // Deeper than any of our types; keeps rubbish from exhausting the stack.
    reader.set_max_depth(64);
    T::deserialize(&mut reader)
}
