//! Logs, metrics and traces.

pub mod latency;
pub mod logs;
pub mod metrics;
pub mod spans;

pub use latency::Latency;
pub use logs::LogFormat;
pub use metrics::Metrics;
pub use spans::Spans;
