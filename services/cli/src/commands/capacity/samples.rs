//! The few numbers of a coordinator's `/metrics` that capacity follows from (Prometheus text format 0.0.4).

use atelier_proto::job::JobKind;

/// What one coordinator measured since it started.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// Requests that it ended with a picture.
    pub pictures: f64,
    /// Device seconds that were reported to it, by kind, in the order of [`JobKind::ALL`].
    pub by_kind: [f64; JobKind::ALL.len()],
    /// Workers that take render jobs.
    pub workers: f64,
}

impl Measured {
    /// Reads what is there; lines that are none of ours count for nothing.
    pub fn read(text: &str) -> Self {
        let mut measured = Self::default();
        for (series, value) in text.lines().filter_map(sample) {
            match series {
                "atelier_requests_ended_total{state=\"succeeded\"}" => measured.pictures = value,
                "atelier_workers{role=\"render\"}" => measured.workers = value,
                _ => {
                    let kind = series
                        .strip_prefix("atelier_device_seconds_sum{kind=\"")
                        .and_then(|rest| rest.strip_suffix("\"}"));
                    let index = JobKind::ALL.iter().position(|of| Some(of.as_str()) == kind);
                    if let Some(index) = index {
                        measured.by_kind[index] = value;
                    }
                }
            }
        }
        measured
    }

    /// Device seconds of all kinds.
    pub fn device_seconds(&self) -> f64 {
        self.by_kind.iter().sum()
    }
}

/// `name{labels} value`, without a comment, and a number that can be counted with.
pub fn sample(line: &str) -> Option<(&str, f64)> {
    if line.starts_with('#') {
        return None;
    }
    let (series, value) = line.rsplit_once(' ')?;
    let value: f64 = value.parse().ok()?;
    (value.is_finite() && value >= 0.0).then_some((series, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_found_among_others() {
        let text = "# HELP atelier_requests_ended_total Requests that ended.\n\
            # TYPE atelier_requests_ended_total counter\n\
            atelier_requests_ended_total{state=\"failed\"} 3\n\
            atelier_requests_ended_total{state=\"succeeded\"} 120\n\
            atelier_device_seconds_bucket{kind=\"plan\",le=\"0.1\"} 7\n\
            atelier_device_seconds_sum{kind=\"plan\"} 24.5\n\
            atelier_device_seconds_sum{kind=\"render\"} 180\n\
            atelier_device_seconds_sum{kind=\"critique\"} NaN\n\
            atelier_device_seconds_sum{kind=\"other\"} 9\n\
            atelier_workers{role=\"render\"} 2\n\
            rubbish\n atelier_workers{role=\"render\"}\n";
        let expected = Measured {
            pictures: 120.0,
            by_kind: [24.5, 180.0, 0.0],
            workers: 2.0,
        };
        assert_eq!(Measured::read(text), expected);
        assert_eq!(Measured::read(""), Measured::default());
    }
}
