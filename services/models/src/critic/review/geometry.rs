//! Where boxes stand to each other, with a margin between yes and no.

use atelier_proto::{
    plan::{BBox, Predicate},
    review::Answer,
};

/// Half of the range around zero, in sides of the picture, in which left or right is too close to call.
const MARGIN: f32 = 0.04;
/// Distance of centres up to which a thing is in its place.
const IN_PLACE: f32 = 0.12;
/// Distance of centres from which it is not.
const OUT_OF_PLACE: f32 = 0.26;
/// Gap between boxes up to which things are near each other.
const NEAR: f32 = 0.15;
/// Gap from which they are not.
const FAR: f32 = 0.35;

/// Yes above `MARGIN`, no under `-MARGIN`, surer with distance.
fn sign(distance: f32) -> (Answer, f32) {
    let confidence = (distance.abs() / 0.2).min(1.0);
    if distance > MARGIN {
        (Answer::Pass, confidence)
    } else if distance < -MARGIN {
        (Answer::Fail, confidence)
    } else {
        (Answer::Unknown, confidence)
    }
}

/// Yes up to `yes`, no from `no`.
fn within(distance: f32, yes: f32, no: f32) -> (Answer, f32) {
    if distance <= yes {
        (Answer::Pass, 1.0 - 0.5 * distance / yes)
    } else if distance >= no {
        (Answer::Fail, (0.5 + distance - no).min(1.0))
    } else {
        (Answer::Unknown, 0.0)
    }
}

/// Whether a thing found at `found` is where `wanted` is.
pub fn position(found: &BBox, wanted: &BBox) -> (Answer, f32) {
    let ((ax, ay), (bx, by)) = (found.center(), wanted.center());
    if found.iou(wanted) >= 0.4 {
        return (Answer::Pass, found.iou(wanted));
    }
    within((ax - bx).hypot(ay - by), IN_PLACE, OUT_OF_PLACE)
}

/// Whether `a` stands to `b` as `predicate` says. Depth is out of reach.
pub fn relation(predicate: Predicate, a: &BBox, b: &BBox) -> (Answer, f32) {
    let ((ax, ay), (bx, by)) = (a.center(), b.center());
    match predicate {
        Predicate::LeftOf => sign(bx - ax),
        Predicate::RightOf => sign(ax - bx),
        Predicate::Above => sign(by - ay),
        Predicate::Below => sign(ay - by),
        Predicate::On => {
            let width = a.0[2].min(b.0[2]) - a.0[0].max(b.0[0]);
            let shared = width / (a.0[2] - a.0[0]).min(b.0[2] - b.0[0]).max(1e-3);
            let gap = b.0[1] - a.0[3];
            if by - ay < -MARGIN || shared <= 0.0 || gap > 0.25 {
                (Answer::Fail, 0.8)
            } else if by - ay > MARGIN && shared >= 0.3 && gap <= 0.1 {
                (Answer::Pass, 0.5 + shared.min(1.0) / 2.0)
            } else {
                (Answer::Unknown, 0.0)
            }
        }
        Predicate::In => {
            let inside = (b.0[0]..=b.0[2]).contains(&ax) && (b.0[1]..=b.0[3]).contains(&ay);
            match (inside, gap(a, b)) {
                (true, _) => (Answer::Pass, 0.8),
                (false, gap) if gap > MARGIN => (Answer::Fail, 0.8),
                _ => (Answer::Unknown, 0.0),
            }
        }
        Predicate::Near => within(gap(a, b), NEAR, FAR),
        Predicate::Behind | Predicate::InFrontOf => (Answer::Unknown, 0.0),
    }
}

/// Distance between two boxes, 0 when they touch.
fn gap(a: &BBox, b: &BBox) -> f32 {
    let apart = |low: usize, high: usize| (a.0[low] - b.0[high]).max(b.0[low] - a.0[high]).max(0.0);
    apart(0, 2).hypot(apart(1, 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEFT: BBox = BBox([0.0, 0.4, 0.3, 0.7]);
    const RIGHT: BBox = BBox([0.6, 0.4, 0.9, 0.7]);

    #[test]
    fn sides_are_told_apart_and_small_margins_are_unknown() {
        assert_eq!(relation(Predicate::LeftOf, &LEFT, &RIGHT).0, Answer::Pass);
        assert_eq!(relation(Predicate::LeftOf, &RIGHT, &LEFT).0, Answer::Fail);
        assert_eq!(relation(Predicate::Above, &RIGHT, &LEFT).0, Answer::Unknown);
        assert_eq!(
            relation(Predicate::Behind, &RIGHT, &LEFT).0,
            Answer::Unknown
        );
    }

    #[test]
    fn on_means_above_and_touching() {
        let table = BBox([0.2, 0.6, 0.8, 0.9]);
        assert_eq!(
            relation(Predicate::On, &BBox([0.4, 0.3, 0.6, 0.62]), &table).0,
            Answer::Pass
        );
        assert_eq!(
            relation(Predicate::On, &BBox([0.4, 0.0, 0.6, 0.2]), &table).0,
            Answer::Fail
        );
        assert_eq!(
            relation(Predicate::On, &table, &BBox([0.4, 0.3, 0.6, 0.62])).0,
            Answer::Fail
        );
    }

    #[test]
    fn near_and_in_are_measured_between_the_boxes() {
        assert_eq!(relation(Predicate::Near, &LEFT, &RIGHT).0, Answer::Unknown);
        assert_eq!(
            relation(Predicate::Near, &LEFT, &BBox([0.35, 0.4, 0.5, 0.7])).0,
            Answer::Pass
        );
        assert_eq!(
            relation(Predicate::Near, &LEFT, &BBox([0.8, 0.0, 1.0, 0.1])).0,
            Answer::Fail
        );
        assert_eq!(
            relation(Predicate::In, &BBox([0.1, 0.5, 0.2, 0.6]), &LEFT).0,
            Answer::Pass
        );
        assert_eq!(relation(Predicate::In, &RIGHT, &LEFT).0, Answer::Fail);
    }

    #[test]
    fn places_have_a_margin() {
        assert_eq!(position(&LEFT, &LEFT).0, Answer::Pass);
        assert_eq!(
            position(&BBox([0.18, 0.4, 0.48, 0.7]), &LEFT).0,
            Answer::Unknown
        );
        assert_eq!(position(&RIGHT, &LEFT).0, Answer::Fail);
    }
}
