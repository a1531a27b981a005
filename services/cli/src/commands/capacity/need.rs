//! From what a picture costs to how many devices a load needs.

use atelier_proto::job::JobKind;
use serde::Serialize;

use super::samples::Measured;

/// What a load needs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Need {
    /// Pictures a second.
    pub rate: f64,
    /// Share of their time that devices may be busy.
    #[serde(rename = "use")]
    pub busy: f64,
    /// Pictures that it is computed from.
    pub pictures: f64,
    /// Device seconds of a picture, drawing again and what failed or was canceled included.
    pub device_seconds: f64,
    /// Devices that do every kind of job.
    pub devices: u64,
    /// Devices when each kind has a pool of its own: each is rounded up.
    pub devices_in_pools: u64,
    /// By kind.
    pub kinds: Vec<KindNeed>,
    /// Workers at the moment.
    pub workers: f64,
    /// Pictures a second that they draw at that use.
    pub now: f64,
}

/// The part of one kind of job.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KindNeed {
    /// The kind.
    pub kind: &'static str,
    /// Device seconds of a picture.
    pub device_seconds: f64,
    /// Share of all device seconds.
    pub share: f64,
    /// Devices, not rounded.
    pub devices: f64,
}

impl Need {
    /// Devices for `rate` pictures a second while each may be busy for a share `busy` of its time. Something must have been measured.
    pub fn of(measured: &Measured, rate: f64, busy: f64) -> Self {
        let all = measured.device_seconds();
        let each = all / measured.pictures;
        let kinds: Vec<_> = JobKind::ALL
            .iter()
            .zip(measured.by_kind)
            .map(|(kind, seconds)| KindNeed {
                kind: kind.as_str(),
                device_seconds: seconds / measured.pictures,
                share: seconds / all,
                devices: seconds / measured.pictures * rate / busy,
            })
            .collect();
        Self {
            rate,
            busy,
            pictures: measured.pictures,
            device_seconds: each,
            devices: whole(each * rate / busy),
            devices_in_pools: kinds.iter().map(|kind| whole(kind.devices)).sum(),
            kinds,
            workers: measured.workers,
            now: measured.workers * busy / each,
        }
    }
}

/// Rounded up; a device more for a rounding error would be one too many.
fn whole(devices: f64) -> u64 {
    (devices - 1e-9).ceil().max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_follow_from_device_seconds() {
        let measured = Measured {
            pictures: 100.0,
            by_kind: [20.0, 150.0, 30.0],
            workers: 4.0,
        };
        let need = Need::of(&measured, 7.0, 0.7);
        // 2 device seconds a picture, 7 pictures a second: 14 devices that are never idle, 20 that may rest.
        assert_eq!((need.devices, need.device_seconds), (20, 2.0));
        let devices: Vec<_> = need.kinds.iter().map(|kind| whole(kind.devices)).collect();
        assert_eq!(devices, [2, 15, 3]);
        assert_eq!(need.devices_in_pools, 20);
        assert!((need.now - 1.4).abs() < 1e-9, "{}", need.now);
        // Pools are rounded one by one.
        let small = Need::of(&measured, 0.1, 1.0);
        assert_eq!((small.devices, small.devices_in_pools), (1, 3));
    }
}
