//! The kinds of cases, each a function from chance to a prompt with its truth.

use atelier_models::props::vocabulary::{Background, TimeOfDay};
use atelier_proto::judging::{Side, Stands, Truth, Wanted};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{
    phrases::{COLORED, COUNTED, PLACES, TOGETHER, TURNS, asked, pick, sides},
    words::{Words, colored, phrase, truth, wanted},
};

/// Makes the case of an index.
type Make = fn(&Words, usize, &mut ChaCha8Rng) -> (String, Truth);

/// Every kind, how many there are of it, and how they are made.
pub const ALL: [(&str, usize, Make); 8] = [
    ("single_object", 40, single),
    ("two_object", 40, two),
    ("counting", 40, counting),
    ("colors", 40, colors),
    ("position", 48, position),
    ("color_attr", 40, color_attr),
    ("complex", 48, complex),
    ("transition", 24, transition),
];

fn filled(form: &str, parts: &[(&str, &str)]) -> String {
    parts.iter().fold(form.to_owned(), |text, (name, words)| {
        text.replace(&format!("{{{name}}}"), words)
    })
}

fn single(words: &Words, _index: usize, rng: &mut ChaCha8Rng) -> (String, Truth) {
    let thing = wanted(words.nouns(1, rng)[0]);
    (asked(&phrase(&thing), rng), truth(vec![thing]))
}

fn two(words: &Words, _index: usize, rng: &mut ChaCha8Rng) -> (String, Truth) {
    let things: Vec<Wanted> = words.nouns(2, rng).into_iter().map(wanted).collect();
    let form = pick(TOGETHER, rng);
    let text = filled(
        form,
        &[("a", &phrase(&things[0])), ("b", &phrase(&things[1]))],
    );
    (asked(&text, rng), truth(things))
}

fn counting(words: &Words, index: usize, rng: &mut ChaCha8Rng) -> (String, Truth) {
    let count = [2, 3, 4][index % 3];
    let thing = Wanted {
        count,
        ..wanted(words.nouns(1, rng)[0])
    };
    let text = filled(pick(COUNTED, rng), &[("n", &phrase(&thing))]);
    (asked(&text, rng), truth(vec![thing]))
}

fn colors(words: &Words, _index: usize, rng: &mut ChaCha8Rng) -> (String, Truth) {
    let thing = colored(words.nouns(1, rng)[0], rng);
    let color = thing.color.clone().unwrap_or_default();
    let text = filled(
        pick(COLORED, rng),
        &[("noun", &thing.noun), ("color", &color)],
    );
    (asked(&text, rng), truth(vec![thing]))
}

/// Two of three a relation, one of three a place.
fn position(words: &Words, index: usize, rng: &mut ChaCha8Rng) -> (String, Truth) {
    if index % 3 == 2 {
        let (place, forms) = PLACES[index / 3 % PLACES.len()];
        let thing = Wanted {
            place: Some(place.to_owned()),
            ..wanted(words.nouns(1, rng)[0])
        };
        let text = format!("{} {}", phrase(&thing), pick(forms, rng));
        return (asked(&text, rng), truth(vec![thing]));
    }
    let things: Vec<Wanted> = words.nouns(2, rng).into_iter().map(wanted).collect();
    let side = Side::ALL[index % 4];
    let text = related(side, &things[0], &things[1], rng);
    let relations = vec![Stands(0, side, 1)];
    (
        asked(&text, rng),
        Truth {
            relations,
            ..truth(things)
        },
    )
}

fn related(side: Side, a: &Wanted, b: &Wanted, rng: &mut ChaCha8Rng) -> String {
    filled(
        pick(sides(side), rng),
        &[("a", &phrase(a)), ("b", &phrase(b))],
    )
}

fn color_attr(words: &Words, _index: usize, rng: &mut ChaCha8Rng) -> (String, Truth) {
    let nouns = words.nouns(2, rng);
    let first = colored(nouns[0], rng);
    let second = loop {
        let second = colored(nouns[1], rng);
        if second.color != first.color {
            break second;
        }
    };
    let form = pick(TOGETHER, rng);
    let text = filled(form, &[("a", &phrase(&first)), ("b", &phrase(&second))]);
    (asked(&text, rng), truth(vec![first, second]))
}

/// Three to six things with numbers and colours, the first two in a relation, some of them somewhere at some time.
fn complex(words: &Words, index: usize, rng: &mut ChaCha8Rng) -> (String, Truth) {
    let number = 3 + index % 4;
    let mut things: Vec<Wanted> = words
        .nouns(number, rng)
        .into_iter()
        .map(|noun| {
            if rng.random_bool(0.5) {
                colored(noun, rng)
            } else {
                wanted(noun)
            }
        })
        .collect();
    if number <= 4 && rng.random_bool(0.6) {
        things[2].count = 2;
    }
    let side = Side::ALL[rng.random_range(0..4)];
    let mut parts = vec![related(side, &things[0], &things[1], rng)];
    parts.extend(things[2..].iter().map(phrase));
    let last = parts.pop().unwrap_or_default();
    let mut text = format!("{}, plus also {last}", parts.join(", "));
    let mut all = Truth {
        relations: vec![Stands(0, side, 1)],
        ..truth(things)
    };
    if rng.random_bool(0.5) {
        let background = Background::ALL[rng.random_range(0..Background::ALL.len())];
        let time = TimeOfDay::ALL[rng.random_range(0..TimeOfDay::ALL.len())];
        text = format!(
            "{text}, everything {} {}",
            background.phrases()[0],
            time.phrases()[0]
        );
        all.background = Some(background.name().to_owned());
        all.time = Some(time.name().to_owned());
    }
    (asked(&text, rng), all)
}

fn transition(words: &Words, index: usize, rng: &mut ChaCha8Rng) -> (String, Truth) {
    let (left, right, forms) = TURNS[index % TURNS.len()];
    // Where day and night look alike there is nothing to see.
    let places = [
        Background::Grass,
        Background::Beach,
        Background::Snow,
        Background::City,
        Background::Desert,
        Background::Forest,
        Background::Sea,
    ];
    let place = places[rng.random_range(0..places.len())];
    let thing = wanted(words.nouns(1, rng)[0]);
    let text = filled(
        pick(forms, rng),
        &[("a", &phrase(&thing)), ("place", place.phrases()[0])],
    );
    let transition = Some([left.to_owned(), right.to_owned()]);
    (
        asked(&text, rng),
        Truth {
            transition,
            ..truth(vec![thing])
        },
    )
}
