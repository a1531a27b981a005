//! Wilson's interval of a share.

/// 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// The interval of `yes` of `all`.
pub fn wilson(yes: u32, all: u32) -> (f64, f64) {
    if all == 0 {
        return (0.0, 1.0);
    }
    let (n, p) = (f64::from(all), f64::from(yes) / f64::from(all));
    let middle = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_intervals() {
        // 160 of 200: 73.9 to 84.9 %.
        let (low, high) = wilson(160, 200);
        assert!(
            (low - 0.7391).abs() < 1e-3 && (high - 0.8494).abs() < 1e-3,
            "{low} {high}"
        );
        let (low, high) = wilson(12, 12);
        assert!((low - 0.7575).abs() < 1e-3 && high == 1.0, "{low} {high}");
        assert_eq!(wilson(0, 0), (0.0, 1.0));
    }
}
