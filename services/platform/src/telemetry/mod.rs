//! Logs and metrics.

pub mod latency;
pub mod logs;
pub mod metrics;

pub use latency::Latency;
pub use logs::LogFormat;
pub use metrics::Metrics;
