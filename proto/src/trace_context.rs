//! W3C trace context (<https://www.w3.org/TR/trace-context/>): ties together what every process does and logs for one request.
//!
//! A submitter may bring a `traceparent`; its trace id then stands in all our logs. Otherwise the trace id is the request's own UUID, so
//! that one can be made from the other. `tracestate` is not carried on.

use std::{fmt, ops::Range, str::FromStr};

use crate::{JobId, RequestId, hex};

/// Length of a `traceparent` of version 00, in characters.
const LENGTH: usize = 55;

/// Where in it the trace id is.
const TRACE: Range<usize> = 3..35;

/// Where the span id is.
const SPAN: Range<usize> = 36..52;

/// Where the flags are.
const FLAGS: Range<usize> = 53..LENGTH;

/// A position in a trace: which trace, and which span of it comes before.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    /// Whether somebody keeps this trace.
    sampled: bool,
}

/// A part of the way of a request or of an attempt at a job that has a span of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Leg {
    /// A coordinator accepts the request.
    Accept = 1,
    /// A coordinator puts the attempt into the stream.
    Publish,
    /// The worker fetches its inputs.
    Fetch,
    /// It waits for the device.
    Wait,
    /// It is on the device.
    Device,
    /// The worker stores what was made.
    Store,
    /// The worker reports until it is answered.
    Report,
    /// A coordinator takes the report in.
    Collect,
}

/// The text is not a `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a traceparent, which looks like 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
)]
pub struct BadTraceContext;

impl TraceContext {
    /// The request's own span: in the trace that its submitter brought, or in one of its own.
    pub fn of_request(request: RequestId, brought: Option<Self>) -> Self {
        let uuid = request.as_uuid().into_bytes();
        Self {
            trace_id: brought.map_or(uuid, |brought| brought.trace_id),
            span_id: second_half(uuid),
            sampled: brought.is_none_or(|brought| brought.sampled),
        }
    }

    /// The span of an attempt at a job in the same trace.
    pub fn of_attempt(self, job: JobId, attempt: u32) -> Self {
        let mut span_id = second_half(job.as_uuid().into_bytes());
        for (byte, number) in span_id[4..].iter_mut().zip(attempt.to_be_bytes()) {
            *byte ^= number;
        }
        Self { span_id, ..self }
    }

    /// The span of a job over all its attempts.
    pub fn of_job(self, job: JobId) -> Self {
        // Attempts are counted from 1.
        self.of_attempt(job, 0)
    }

    /// The span of one leg of this request or attempt. All processes make the same, so that one may name what another one exports.
    pub fn of_leg(self, leg: Leg) -> Self {
        let mut span_id = self.span_id;
        // Attempts are told apart by the four bytes behind this one.
        span_id[3] ^= leg as u8;
        Self { span_id, ..self }
    }

    /// What an envelope says, or what follows from its request when it says nothing that can be read.
    pub fn read(text: Option<&str>, request: RequestId) -> Self {
        text.and_then(|text| text.parse().ok())
            .unwrap_or_else(|| Self::of_request(request, None))
    }

    /// Whether somebody keeps this trace.
    pub const fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// The trace id.
    pub const fn trace_bytes(&self) -> [u8; 16] {
        self.trace_id
    }

    /// The span id.
    pub const fn span_bytes(&self) -> [u8; 8] {
        self.span_id
    }

    /// The trace id as logs show it: 32 lower-case hexadecimal digits.
    pub fn trace_id(&self) -> impl fmt::Display + use<> {
        Hex(self.trace_id)
    }
}

/// The random half of a UUID of version 7; its variant bits keep it from being all zeros.
fn second_half(uuid: [u8; 16]) -> [u8; 8] {
    let mut half = [0; 8];
    half.copy_from_slice(&uuid[8..]);
    half[0] |= 0x80;
    half
}

impl FromStr for TraceContext {
    type Err = BadTraceContext;

    fn from_str(text: &str) -> Result<Self, BadTraceContext> {
        let bytes = text.as_bytes();
        // A later version may add fields behind another dash, and is otherwise read as this one.
        let whole = match (bytes.get(..2), bytes.get(LENGTH)) {
            (Some(b"ff"), _) | (None, _) => false,
            (Some(_), None) => true,
            (Some(version), Some(next)) => version != b"00" && *next == b'-',
        };
        let dashes = [2, 35, 52];
        if !whole || dashes.iter().any(|at| bytes.get(*at) != Some(&b'-')) {
            return Err(BadTraceContext);
        }
        let part = |at: Range<usize>| bytes.get(at).ok_or(BadTraceContext);
        let [_version] = hex::read(part(0..2)?).ok_or(BadTraceContext)?;
        let trace_id = hex::read(part(TRACE)?).ok_or(BadTraceContext)?;
        let span_id = hex::read(part(SPAN)?).ok_or(BadTraceContext)?;
        let [flags] = hex::read(part(FLAGS)?).ok_or(BadTraceContext)?;
        if trace_id == [0; 16] || span_id == [0; 8] {
            return Err(BadTraceContext);
        }
        Ok(Self {
            trace_id,
            span_id,
            sampled: flags & 1 == 1,
        })
    }
}

struct Hex<const N: usize>([u8; N]);

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = hex::write(self.0);
        f.write_str(std::str::from_utf8(digits.as_flattened()).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, span) = (hex::write(self.trace_id), hex::write(self.span_id));
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        text[TRACE].copy_from_slice(trace.as_flattened());
        text[SPAN].copy_from_slice(span.as_flattened());
        text[FLAGS].copy_from_slice(hex::write([u8::from(self.sampled)]).as_flattened());
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceContext({self})")
    }
}
