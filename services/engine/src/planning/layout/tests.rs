use std::time::{Duration, Instant};

use proptest::prelude::*;
use rand::{Rng, RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::*;

/// A box in cells: left, top, right, bottom. Whole numbers, or the layout is off the grid.
type Cells = [i32; 4];

fn cells(bbox: &BBox) -> Cells {
    bbox.0.map(|edge| {
        let cells = edge * GRID as f32;
        assert_eq!(cells.fract(), 0.0, "{bbox:?} is off the grid");
        cells as i32
    })
}

/// What "holds" means, said in another way than the solver says it: by edges.
fn stands(predicate: Predicate, a: Cells, b: Cells) -> bool {
    let (across, down) = (0, 1);
    let middle = |bbox: Cells, axis: usize| bbox[axis] + bbox[axis + 2];
    let between = |axis: usize| (b[axis] - a[axis + 2]).max(a[axis] - b[axis + 2]).max(0);
    match predicate {
        // Twice the middles, so that these are a cell apart.
        Predicate::LeftOf => middle(b, across) - middle(a, across) >= 2,
        Predicate::RightOf => middle(a, across) - middle(b, across) >= 2,
        Predicate::Above | Predicate::Behind => middle(b, down) - middle(a, down) >= 2,
        Predicate::Below | Predicate::InFrontOf => middle(a, down) - middle(b, down) >= 2,
        // Its lower edge is the other's upper edge, and a third of the narrower one is shared.
        Predicate::On => {
            let shared = (a[0]..a[2]).filter(|x| (b[0]..b[2]).contains(x)).count() as i32;
            a[3] == b[1] && shared * 3 >= (a[2] - a[0]).min(b[2] - b[0])
        }
        Predicate::In => between(across) == 0 && between(down) == 0,
        Predicate::Near => between(across) + between(down) <= 2,
    }
}

/// Whether the middle of a box is in the thirds that a place names.
fn is_in(place: Place, bbox: Cells) -> bool {
    let third = |low: i32, high: i32| match f64::from(low + high) / f64::from(2 * GRID) {
        at if at < 1.0 / 3.0 => 0,
        at if at > 2.0 / 3.0 => 2,
        _ => 1,
    };
    place
        .column
        .is_none_or(|wanted| wanted == third(bbox[0], bbox[2]))
        && place
            .row
            .is_none_or(|wanted| wanted == third(bbox[1], bbox[3]))
}

/// Inside the picture and apart from each other; how many wishes do not hold.
fn broken(wishes: &[Wish], layout: &Layout) -> usize {
    let boxes: Vec<Cells> = layout.boxes.iter().map(cells).collect();
    assert_eq!(boxes.len(), wishes.len());
    for (index, a) in boxes.iter().enumerate() {
        assert!(0 <= a[0] && a[0] < a[2] && a[2] <= GRID, "{boxes:?}");
        assert!(0 <= a[1] && a[1] < a[3] && a[3] <= GRID, "{boxes:?}");
        assert_eq!(a[2] - a[0], a[3] - a[1], "{boxes:?}");
        for b in &boxes[..index] {
            let meets = |axis: usize| a[axis] < b[axis + 2] && b[axis] < a[axis + 2];
            assert!(!(meets(0) && meets(1)), "{boxes:?} overlap");
        }
    }
    let mut count = 0;
    for (thing, wish) in wishes.iter().enumerate() {
        count += usize::from(!is_in(wish.place, boxes[thing]));
        let lost = |(predicate, other): &&(Predicate, usize)| {
            !stands(*predicate, boxes[thing], boxes[*other])
        };
        count += wish.relations.iter().filter(lost).count();
    }
    assert_eq!(
        count,
        layout.broken.len(),
        "what is broken is told: {layout:?}"
    );
    count
}

const ALL: [Predicate; 9] = [
    Predicate::LeftOf,
    Predicate::RightOf,
    Predicate::Above,
    Predicate::Below,
    Predicate::On,
    Predicate::In,
    Predicate::Near,
    Predicate::Behind,
    Predicate::InFrontOf,
];

/// Squares of the sizes that so many things have, at random places without overlap.
fn hidden(things: usize, rng: &mut impl Rng) -> Vec<Cells> {
    // A crowded picture is full: only squares side by side fit.
    let step = if things > 10 { 4 } else { 2 };
    loop {
        let mut boxes: Vec<Cells> = Vec::new();
        for _ in 0..400 {
            if boxes.len() == things {
                return boxes;
            }
            let (least, most) = (*sides(things).start(), *sides(things).end());
            let side = 2 * rng.random_range(least / 2..=most / 2);
            let mut corner = || rng.random_range(0..=(GRID - side) / step) * step;
            let (x, y) = (corner(), corner());
            let new = [x, y, x + side, y + side];
            let apart = |old: &Cells| {
                new[2] <= old[0] || old[2] <= new[0] || new[3] <= old[1] || old[3] <= new[1]
            };
            if boxes.iter().all(apart) {
                boxes.push(new);
            }
        }
    }
}

/// Wishes that all hold in a hidden layout: each can be kept, and all together.
fn satisfiable(things: usize, rng: &mut impl Rng) -> Vec<Wish> {
    let boxes = hidden(things, rng);
    let mut wishes = vec![Wish::default(); things];
    let mut pairs: Vec<(usize, Predicate, usize)> = Vec::new();
    for (a, here) in boxes.iter().enumerate() {
        for (b, there) in boxes.iter().enumerate().filter(|(b, _)| *b != a) {
            let holding = ALL.into_iter().filter(|one| stands(*one, *here, *there));
            pairs.extend(holding.map(|predicate| (a, predicate, b)));
        }
    }
    pairs.shuffle(rng);
    // The rarer kinds as often as left and right.
    pairs.sort_by_cached_key(|(_, predicate, _)| {
        let touching = matches!(predicate, Predicate::On | Predicate::In | Predicate::Near);
        if touching && rng.random_range(0..4) == 0 {
            0
        } else {
            1
        }
    });
    pairs.truncate(rng.random_range(0..=32));
    for (a, predicate, b) in pairs {
        wishes[a].relations.push((predicate, b));
    }
    for (thing, wish) in wishes.iter_mut().enumerate() {
        if rng.random_range(0..4) == 0 {
            let names = super::super::PLACES.map(Place::parse);
            let fits: Vec<Place> = names
                .into_iter()
                .filter(|place| is_in(*place, boxes[thing]))
                .collect();
            wish.place = fits[rng.random_range(0..fits.len())];
        }
        wish.in_sky = rng.random_range(0..4) == 0;
    }
    wishes
}

#[test]
fn what_can_be_kept_is_kept() {
    let mut rng = ChaCha8Rng::seed_from_u64(20);
    let mut took: Vec<Duration> = Vec::new();
    for round in 0..10_000 {
        let things = rng.random_range(1..=16);
        let wishes = satisfiable(things, &mut rng);
        let began = Instant::now();
        let layout = solve(&wishes, round);
        if things == 16 {
            took.push(began.elapsed());
        }
        assert_eq!(broken(&wishes, &layout), 0, "round {round}: {wishes:?}");
    }
    took.sort_unstable();
    println!(
        "16 things: {:.2?} in the median of {}, {:.2?} at p99, {:.2?} at most",
        took[took.len() / 2],
        took.len(),
        took[took.len() * 99 / 100],
        took[took.len() - 1]
    );
}

#[test]
fn what_cannot_be_kept_is_told_and_little_is_lost() {
    let mut rng = ChaCha8Rng::seed_from_u64(21);
    for round in 0..2_000 {
        let things = rng.random_range(2..=16);
        let mut wishes = satisfiable(things, &mut rng);
        let said: usize = wishes.iter().map(|wish| wish.relations.len()).sum();
        // Turning one relation around makes one wrong at most.
        let talkers: Vec<usize> = (0..things)
            .filter(|thing| !wishes[*thing].relations.is_empty())
            .collect();
        if said < 2 || talkers.is_empty() {
            continue;
        }
        let thing = talkers[rng.random_range(0..talkers.len())];
        let at = rng.random_range(0..wishes[thing].relations.len());
        let (predicate, other) = wishes[thing].relations[at];
        wishes[other].relations.push((predicate, thing));
        let layout = solve(&wishes, round);
        let symmetric = matches!(predicate, Predicate::In | Predicate::Near);
        let least = usize::from(!symmetric);
        assert_eq!(broken(&wishes, &layout), least, "round {round}: {wishes:?}");
    }
}

/// `(subject, predicate, object)` as wishes.
fn wishes_of(things: usize, relations: &[(usize, Predicate, usize)]) -> Vec<Wish> {
    let mut wishes = vec![Wish::default(); things];
    for (a, predicate, b) in relations {
        wishes[*a].relations.push((*predicate, *b));
    }
    wishes
}

#[test]
fn of_contradictions_the_fewest_are_left_out() {
    use Predicate::{Above, LeftOf, On};
    for (things, relations, least) in [
        (3, vec![(0, LeftOf, 1), (1, LeftOf, 2), (2, LeftOf, 0)], 1),
        // The first one contradicts two others.
        (
            3,
            vec![
                (0, LeftOf, 1),
                (1, LeftOf, 0),
                (1, LeftOf, 2),
                (2, LeftOf, 0),
            ],
            1,
        ),
        (2, vec![(0, Above, 1), (1, Above, 0)], 1),
        // Two fit on one, a third does not.
        (4, vec![(0, On, 3), (1, On, 3), (2, On, 3)], 0),
        (2, vec![(0, On, 1), (0, LeftOf, 1)], 0),
    ] {
        for seed in 0..20 {
            let wishes = wishes_of(things, &relations);
            let layout = solve(&wishes, seed);
            assert_eq!(broken(&wishes, &layout), least, "{relations:?}: {layout:?}");
        }
    }
}

#[test]
fn a_long_row_is_kept_with_smaller_things() {
    for things in 2..=15 {
        let row: Vec<_> = (1..things)
            .map(|thing| (thing - 1, Predicate::LeftOf, thing))
            .collect();
        let wishes = wishes_of(things, &row);
        let layout = solve(&wishes, 3);
        assert_eq!(broken(&wishes, &layout), 0, "{things}: {layout:?}");
        let usual = sides(things);
        let side = |bbox: &BBox| cells(bbox)[2] - cells(bbox)[0];
        if things <= 7 {
            assert!(
                layout.boxes.iter().all(|bbox| side(bbox) >= *usual.start()),
                "{layout:?}"
            );
        }
    }
}

#[test]
fn left_reads_as_left_where_there_is_room() {
    for seed in 0..40 {
        let mut wishes = wishes_of(3, &[(0, Predicate::LeftOf, 1), (2, Predicate::Below, 1)]);
        wishes[1].place = Place::parse("top right");
        let boxes = solve(&wishes, seed).boxes;
        let (ax, _) = boxes[0].center();
        let (bx, by) = boxes[1].center();
        let (_, cy) = boxes[2].center();
        assert!(ax < bx - 0.1, "{boxes:?}");
        assert!(bx > 0.66 && by < 0.34, "{boxes:?}");
        assert!(cy > by + 0.1, "{boxes:?}");
    }
}

proptest! {
    #[test]
    fn any_wishes_are_laid_out_inside_and_apart(
        things in 1_usize..=16,
        seed: u64,
        places in proptest::collection::vec(proptest::option::weighted(0.3, 0_usize..9), 16),
        relations in proptest::collection::vec((0_usize..16, 0_usize..9, 0_usize..16), 0..32),
    ) {
        let relations: Vec<_> = relations
            .into_iter()
            .map(|(a, predicate, b)| (a % things, ALL[predicate], b % things))
            .filter(|(a, _, b)| a != b)
            .collect();
        let mut wishes = wishes_of(things, &relations);
        for (wish, place) in wishes.iter_mut().zip(places) {
            wish.place = place.map(|place| Place::parse(super::super::PLACES[place])).unwrap_or_default();
        }
        let layout = solve(&wishes, seed);
        broken(&wishes, &layout);
        prop_assert_eq!(&layout, &solve(&wishes, seed));
    }
}

#[test]
fn several_things_are_spread_and_as_large_as_they_can_be() {
    use Predicate::{Above, Below, LeftOf, RightOf};
    // By number of things: the least side of the smallest and of all in the mean, and the most pairs in a hundred that touch.
    for (things, smallest, mean, touching) in [
        (3, 6, 7.0, 1),
        (4, 6, 6.5, 1),
        (5, 4, 5.0, 5),
        (6, 4, 4.6, 5),
    ] {
        let (mut sides, mut touch, mut pairs, mut unclear) = (Vec::new(), 0, 0, 0);
        for seed in 0..200 {
            let side = [LeftOf, RightOf, Above, Below][seed as usize % 4];
            let layout = solve(&wishes_of(things, &[(0, side, 1)]), seed);
            let boxes: Vec<Cells> = layout.boxes.iter().map(cells).collect();
            for (number, a) in boxes.iter().enumerate() {
                sides.push(a[2] - a[0]);
                for b in &boxes[..number] {
                    let gap = |axis: usize| (a[axis] - b[axis + 2]).max(b[axis] - a[axis + 2]);
                    pairs += 1;
                    touch += usize::from(gap(0).max(gap(1)) == 0 && gap(0).min(gap(1)) < 0);
                }
            }
            let off = |axis: usize| {
                let middle = |bbox: &Cells| bbox[axis] + bbox[axis + 2];
                (middle(&boxes[0]) - middle(&boxes[1])).abs()
            };
            unclear += usize::from(match side {
                LeftOf | RightOf => off(1) > off(0),
                _ => off(0) > off(1),
            });
        }
        let average = f64::from(sides.iter().sum::<i32>()) / sides.len() as f64;
        let share = 100 * touch / pairs;
        let least = sides.iter().min().copied().unwrap_or_default();
        println!(
            "{things} things: {least} cells at least, {average:.2} in the mean, {share} of 100 pairs touch, {unclear} of 200 unclear"
        );
        assert!(least >= smallest && average >= mean && share <= touching && unclear == 0);
    }
}
