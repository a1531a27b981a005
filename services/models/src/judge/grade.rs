//! From what a detector found to what of a truth is so: a pure function. The rules are GenEval's where it has one: things are counted above a threshold,
//! the surest of a kind are those that are meant, and sides keep a margin that grows with the boxes.

use atelier_proto::{
    judging::{Finding, Side, Stands, Truth, Wanted},
    plan::BBox,
};

use crate::{critic::detector::Detection, props::vocabulary::Color};

/// Evidence (that there is something, times that it is of this kind) from which a thing that is wanted is found. It is low, since what is wanted is
/// known: of some four hundred kinds, one in eight of all belief on this one is much.
const FOUND: f32 = 0.12;
/// Evidence from which a thing counts as one too many.
const TOO_MANY: f32 = 0.3;
/// Share of the summed sides by which centres must be apart before one is on a side of the other.
const MARGIN: f32 = 0.1;
/// Least cosine between the direction of two things and a side.
const COSINE: f32 = 0.5;
/// How far from its edge of the picture the centre of a thing on that side may be.
const PLACE: f32 = 0.42;

/// What the judge knows of words.
pub trait Names {
    /// The detector's name for a noun, where it has one.
    fn name_of(&self, noun: &str) -> Option<String>;
    /// Whether things of this name have this colour as they come.
    fn is_own_color(&self, name: &str, color: &str) -> bool;
}

/// What of the things, their numbers, colours, places and relations is so.
pub fn grade(truth: &Truth, things: &[Detection], names: &impl Names) -> Vec<Finding> {
    let meant = assign(truth, things, names);
    let mut findings = Vec::new();
    for (wanted, found) in truth.things.iter().zip(&meant) {
        findings.push(count(wanted, found));
        let all = found.len() >= wanted.count as usize;
        if let Some(color) = &wanted.color {
            findings.push(colors(wanted, color, found, all, names));
        }
        if let Some(place) = &wanted.place {
            let ok = all && found.iter().all(|thing| is_at(&thing.place(), place));
            let found = found.iter().map(|thing| at(thing)).collect::<Vec<_>>();
            findings.push(finding(
                "place",
                format!("{} {place}", wanted.noun),
                ok,
                found.join(", "),
            ));
        }
    }
    for relation in &truth.relations {
        findings.push(related(truth, *relation, &meant));
    }
    for many in &truth.exclude {
        let number = counted(things, names.name_of(&many.noun).as_deref(), TOO_MANY).len();
        let about = format!("fewer than {} x {}", many.count, many.noun);
        findings.push(finding(
            "exclude",
            about,
            number < many.count as usize,
            format!("{number}"),
        ));
    }
    findings
}

fn finding(kind: &str, about: String, ok: bool, found: String) -> Finding {
    Finding {
        kind: kind.to_owned(),
        about,
        ok,
        found: if ok { String::new() } else { found },
    }
}

/// Everything of a name, the surest first.
fn counted<'a>(things: &'a [Detection], name: Option<&str>, least: f32) -> Vec<&'a Detection> {
    let Some(name) = name else { return Vec::new() };
    let evidence = |thing: &Detection| thing.score * thing.likelihood(name);
    let mut found: Vec<&Detection> = things
        .iter()
        .filter(|thing| evidence(thing) >= least)
        .collect();
    found.sort_by(|a, b| evidence(b).total_cmp(&evidence(a)));
    found
}

/// The things that each entry means, at most its number. Entries with a colour choose first among things of one kind, so that a red cat and a blue cat
/// do not take each other's.
fn assign<'a>(
    truth: &Truth,
    things: &'a [Detection],
    names: &impl Names,
) -> Vec<Vec<&'a Detection>> {
    let mut meant = vec![Vec::new(); truth.things.len()];
    let mut taken: Vec<*const Detection> = Vec::new();
    let mut order: Vec<usize> = (0..truth.things.len()).collect();
    order.sort_by_key(|index| truth.things[*index].color.is_none());
    for index in order {
        let wanted = &truth.things[index];
        let mut found = counted(things, names.name_of(&wanted.noun).as_deref(), FOUND);
        if let Some(color) = &wanted.color {
            found.sort_by_key(|thing| !has_color(thing, color, names));
        }
        found.retain(|thing| !taken.contains(&std::ptr::from_ref(*thing)));
        found.truncate(wanted.count as usize);
        taken.extend(found.iter().map(|thing| std::ptr::from_ref(*thing)));
        meant[index] = found;
    }
    meant
}

fn count(wanted: &Wanted, found: &[&Detection]) -> Finding {
    let ok = found.len() >= wanted.count as usize;
    let about = format!("{} x {}", wanted.count, wanted.noun);
    finding("count", about, ok, format!("{}", found.len()))
}

fn colors(
    wanted: &Wanted,
    color: &str,
    found: &[&Detection],
    all: bool,
    names: &impl Names,
) -> Finding {
    let ok = all && found.iter().all(|thing| has_color(thing, color, names));
    let seen: Vec<&str> = found
        .iter()
        .map(|thing| thing.color.as_deref().unwrap_or("as it comes"))
        .collect();
    finding(
        "color",
        format!("{color} {}", wanted.noun),
        ok,
        seen.join(", "),
    )
}

/// A tomato that nobody painted is red all the same.
fn has_color(thing: &Detection, color: &str, names: &impl Names) -> bool {
    let wanted = Color::find(color).map_or(color, |color| color.name());
    match &thing.color {
        Some(found) => found == wanted,
        None => names.is_own_color(&thing.name, wanted),
    }
}

fn at(thing: &Detection) -> String {
    let (x, y) = thing.place().center();
    format!("{x:.2} {y:.2}")
}

/// Whether a box's centre is in the part of the picture that the words name.
fn is_at(found: &BBox, place: &str) -> bool {
    let (x, y) = found.center();
    if place == "center" {
        let middle = |at: f32| (at - 0.5).abs() < PLACE / 2.0;
        return middle(x) && middle(y);
    }
    place.split(' ').all(|word| match word {
        "left" => x < PLACE,
        "right" => x > 1.0 - PLACE,
        "top" => y < PLACE,
        "bottom" => y > 1.0 - PLACE,
        _ => false,
    })
}

/// Every subject to every object.
fn related(
    truth: &Truth,
    Stands(subject, side, object): Stands,
    meant: &[Vec<&Detection>],
) -> Finding {
    let (subject, object) = (subject as usize, object as usize);
    let whole = |index: usize| meant[index].len() >= truth.things[index].count as usize;
    let ok = whole(subject)
        && whole(object)
        && meant[subject].iter().all(|a| {
            meant[object]
                .iter()
                .all(|b| stands(&a.place(), side, &b.place()))
        });
    let noun = |index: usize| &truth.things[index].noun;
    let about = format!("{} {} {}", noun(subject), side.as_str(), noun(object));
    let places = |index: usize| {
        meant[index]
            .iter()
            .map(|thing| at(thing))
            .collect::<Vec<_>>()
            .join(", ")
    };
    finding(
        "relation",
        about,
        ok,
        format!("{} to {}", places(subject), places(object)),
    )
}

/// Whether `a` is on a side of `b`: its direction, once the margin is taken off, points there.
pub fn stands(a: &BBox, side: Side, b: &BBox) -> bool {
    let ((ax, ay), (bx, by)) = (a.center(), b.center());
    let [a, b] = [a.0, b.0];
    let beyond = |distance: f32, sides: f32| {
        (distance.abs() - MARGIN * sides)
            .max(0.0)
            .copysign(distance)
    };
    let x = beyond(ax - bx, a[2] - a[0] + b[2] - b[0]);
    let y = beyond(ay - by, a[3] - a[1] + b[3] - b[1]);
    let length = x.hypot(y);
    if length <= 0.0 {
        return false;
    }
    let cosine = match side {
        Side::LeftOf => -x,
        Side::RightOf => x,
        Side::Above => -y,
        Side::Below => y,
    } / length;
    cosine > COSINE
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Plain;

    impl Names for Plain {
        fn name_of(&self, noun: &str) -> Option<String> {
            (noun != "gizmo").then(|| noun.to_owned())
        }

        fn is_own_color(&self, name: &str, color: &str) -> bool {
            (name, color) == ("tomato", "red")
        }
    }

    fn thing(name: &str, color: Option<&str>, bbox: [f32; 4]) -> Detection {
        Detection {
            name: name.into(),
            score: 0.9,
            names: vec![(name.into(), 0.9)],
            color: color.map(str::to_owned),
            color_score: 0.9,
            colors: vec![],
            bbox,
        }
    }

    const LEFT: [f32; 4] = [0.0, 0.3, 0.3, 0.6];
    const RIGHT: [f32; 4] = [0.6, 0.3, 0.9, 0.6];
    const TOP: [f32; 4] = [0.3, 0.0, 0.6, 0.3];

    fn wrong(truth: serde_json::Value, things: &[Detection]) -> Vec<String> {
        let truth: Truth = serde_json::from_value(truth).unwrap();
        let findings = grade(&truth, things, &Plain);
        findings
            .into_iter()
            .filter(|one| !one.ok)
            .map(|one| one.kind)
            .collect()
    }

    #[test]
    fn numbers_are_at_least_and_exclusions_at_most() {
        let two = serde_json::json!({ "things": [{ "noun": "fox", "count": 2 }], "exclude": [{ "noun": "fox", "count": 3 }] });
        let foxes = [
            thing("fox", None, LEFT),
            thing("fox", None, RIGHT),
            thing("fox", None, TOP),
        ];
        assert!(wrong(two.clone(), &foxes[..2]).is_empty());
        assert_eq!(wrong(two.clone(), &foxes[..1]), ["count"]);
        assert_eq!(wrong(two, &foxes), ["exclude"]);
        let unsure = Detection {
            score: 0.1,
            ..foxes[0].clone()
        };
        let one = serde_json::json!({ "things": [{ "noun": "fox" }] });
        assert_eq!(wrong(one, &[unsure]), ["count"]);
        let unknown = serde_json::json!({ "things": [{ "noun": "gizmo" }] });
        assert_eq!(wrong(unknown, &foxes), ["count"]);
    }

    #[test]
    fn colours_belong_to_their_things() {
        let pair = serde_json::json!({ "things": [{ "noun": "cat", "color": "red" }, { "noun": "cat", "color": "blue" }] });
        let (red, blue) = (
            thing("cat", Some("red"), LEFT),
            thing("cat", Some("blue"), RIGHT),
        );
        assert!(wrong(pair.clone(), &[blue.clone(), red.clone()]).is_empty());
        assert_eq!(wrong(pair.clone(), &[red.clone(), red.clone()]), ["color"]);
        assert_eq!(wrong(pair, &[red]), ["count", "color"]);
        let tomato = serde_json::json!({ "things": [{ "noun": "tomato", "color": "scarlet" }] });
        assert!(wrong(tomato.clone(), &[thing("tomato", None, LEFT)]).is_empty());
        assert_eq!(
            wrong(tomato, &[thing("tomato", Some("blue"), LEFT)]),
            ["color"]
        );
        assert_eq!(blue.color.as_deref(), Some("blue"));
    }

    #[test]
    fn places_and_sides_need_their_margin() {
        let things = [thing("cat", None, LEFT), thing("dog", None, RIGHT)];
        let of = |side: &str, place: &str| serde_json::json!({ "things": [{ "noun": "cat", "place": place }, { "noun": "dog" }], "relations": [[0, side, 1]] });
        assert!(wrong(of("left of", "left"), &things).is_empty());
        assert_eq!(
            wrong(of("right of", "top left"), &things),
            ["place", "relation"]
        );
        assert_eq!(wrong(of("above", "left"), &things), ["relation"]);
        let [a, b] = [LEFT, [0.02, 0.3, 0.32, 0.6]].map(BBox);
        assert!(!stands(&a, Side::LeftOf, &b), "hardly apart");
        assert!(stands(&BBox(TOP), Side::Above, &BBox(LEFT)));
        let gone = serde_json::json!({ "things": [{ "noun": "cat" }, { "noun": "dog" }], "relations": [[0, "left of", 1]] });
        assert_eq!(wrong(gone, &things[..1]), ["count", "relation"]);
    }
}
