//! Metrics: one registry a process, with `atelier_` before every name, shown as Prometheus text.

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder, core::Collector,
};

/// Content type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// The registry of a process. Clones share it. Making two metrics of one name is a programming error and panics at start.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Registry);

macro_rules! make {
    ($(#[$doc:meta])* $name:ident -> $kind:ty) => {
        $(#[$doc])*
        pub fn $name(&self, name: &str, help: &str) -> $kind {
            self.register(<$kind>::with_opts(options(name, help)))
        }
    };
    ($(#[$doc:meta])* $name:ident by labels -> $kind:ty) => {
        $(#[$doc])*
        pub fn $name(&self, name: &str, help: &str, labels: &[&str]) -> $kind {
            self.register(<$kind>::new(options(name, help), labels))
        }
    };
}

impl Metrics {
    make!(
        /// A count of events.
        counter -> IntCounter
    );
    make!(
        /// A count of events by labels.
        counters by labels -> IntCounterVec
    );
    make!(
        /// A whole number that goes up and down.
        gauge -> IntGauge
    );
    make!(
        /// Whole numbers that go up and down, by labels.
        gauges by labels -> IntGaugeVec
    );
    make!(
        /// A number that goes up and down.
        float_gauge -> Gauge
    );
    make!(
        /// Numbers that go up and down, by labels.
        float_gauges by labels -> GaugeVec
    );

    /// A distribution; `buckets` are upper bounds in the unit of the name.
    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        self.register(Histogram::with_opts(distribution(name, help, buckets)))
    }

    /// Distributions by labels.
    pub fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> HistogramVec {
        self.register(HistogramVec::new(distribution(name, help, buckets), labels))
    }

    /// Says which program this is and of which version: a metric that is always 1.
    pub fn build_info(&self, program: &str, version: &str) {
        let labels = ["program", "version"];
        self.gauges(
            "build_info",
            "Program and version of this process.",
            &labels,
        )
        .with_label_values(&[program, version])
        .set(1);
    }

    /// Every metric as Prometheus text.
    pub fn render(&self) -> String {
        let mut text = String::new();
        if let Err(error) = TextEncoder::new().encode_utf8(&self.0.gather(), &mut text) {
            tracing::error!(%error, "metrics cannot be shown");
        }
        text
    }

    fn register<C: Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> C {
        let metric = made.expect("metric names and labels are constants of ours");
        self.0
            .register(Box::new(metric.clone()))
            .expect("every metric is made once");
        metric
    }
}

fn options(name: &str, help: &str) -> Opts {
    Opts::new(format!("atelier_{name}"), help)
}

fn distribution(name: &str, help: &str, buckets: &[f64]) -> HistogramOpts {
    HistogramOpts::new(format!("atelier_{name}"), help).buckets(buckets.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_was_counted() {
        let metrics = Metrics::default();
        metrics.counter("things_total", "Things.").inc_by(3);
        let jobs = metrics.counters("jobs_total", "Jobs.", &["kind"]);
        jobs.with_label_values(&["plan"]).inc();
        let text = metrics.render();
        assert!(text.contains("# HELP atelier_things_total Things."));
        assert!(text.contains("atelier_things_total 3"));
        assert!(text.contains("atelier_jobs_total{kind=\"plan\"} 1"));
    }
}
