//! How long others take to answer: one histogram by what was asked and how it ended.

use std::time::Instant;

use prometheus::HistogramVec;

use super::Metrics;

/// From a memory's answer to a store that is nearly away, in seconds.
const BUCKETS: [f64; 12] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];

/// Measures calls to one server. Without a registry it measures nothing.
#[derive(Clone, Debug, Default)]
pub struct Latency(Option<HistogramVec>);

impl Latency {
    /// Registers the histogram `name` with the labels `operation` and `outcome`.
    pub fn new(registry: &Metrics, name: &str, help: &str) -> Self {
        Self(Some(registry.histograms(
            name,
            help,
            &["operation", "outcome"],
            &BUCKETS,
        )))
    }

    /// Waits for `call` and notes how long it took and what `outcome` says of its result, a word out of a few.
    pub async fn of<T>(
        &self,
        operation: &'static str,
        outcome: impl FnOnce(&T) -> &'static str,
        call: impl Future<Output = T>,
    ) -> T {
        let Some(seconds) = &self.0 else {
            return call.await;
        };
        let started = Instant::now();
        let result = call.await;
        seconds
            .with_label_values(&[operation, outcome(&result)])
            .observe(started.elapsed().as_secs_f64());
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_are_counted_by_outcome() {
        let registry = Metrics::default();
        let latency = Latency::new(&registry, "store_seconds", "Seconds.");
        let outcome = |result: &Result<u8, ()>| if result.is_ok() { "ok" } else { "failed" };
        assert_eq!(latency.of("get", outcome, async { Ok(7) }).await, Ok(7));
        assert_eq!(latency.of("get", outcome, async { Err(()) }).await, Err(()));
        assert_eq!(
            Latency::default().of("get", outcome, async { Ok(1) }).await,
            Ok(1)
        );
        let text = registry.render();
        for outcome in ["ok", "failed"] {
            let line =
                format!(r#"atelier_store_seconds_count{{operation="get",outcome="{outcome}"}} 1"#);
            assert!(text.contains(&line), "{text}");
        }
    }
}
