//! Nouns of the suite, and which of them may stand together.

use atelier_models::props::vocabulary::{Background, Color, TimeOfDay};
use atelier_proto::judging::{TooMany, Truth, Wanted};
use rand::{RngExt, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

use crate::{
    composer::Entry,
    planner::{
        Taught,
        prompts::{article, plural},
        taught,
    },
};

/// What a case may speak of.
pub struct Words {
    nouns: Vec<&'static str>,
    taught: Taught,
}

impl Words {
    /// Things of these that are drawn, can be counted, have one meaning, and are no place, time or colour.
    pub fn of(entries: &[Entry]) -> Self {
        let within = |name: &str, other: &str| {
            name != other
                && (other.ends_with(&format!(" {name}")) || other.starts_with(&format!("{name} ")))
        };
        let is_fit = |name: &str| {
            let plain = name.chars().all(|c| c.is_ascii_lowercase() || c == ' ');
            let scene = Background::find(name).is_some() || TimeOfDay::find(name).is_some();
            let alone = !entries.iter().any(|other| within(name, other.name));
            plain
                && !scene
                && Color::find(name).is_none()
                && alone
                && name.split(' ').count() <= 2
                && !name.ends_with('s')
        };
        let drawn = entries
            .iter()
            .filter(|entry| !entry.held_out && entry.article);
        Self {
            nouns: drawn
                .map(|entry| entry.name)
                .filter(|name| is_fit(name))
                .collect(),
            taught: taught(),
        }
    }

    /// Whether the planner has seen the very prompt.
    pub fn was_taught(&self, prompt: &str) -> bool {
        self.taught.prompts.contains(&prompt.to_lowercase())
    }

    /// So many nouns of which no two stood together in training.
    pub fn nouns(&self, number: usize, rng: &mut ChaCha8Rng) -> Vec<&'static str> {
        let mut chosen: Vec<&'static str> = Vec::with_capacity(number);
        while chosen.len() < number {
            let Some(next) = self.nouns.choose(rng) else {
                break;
            };
            let stood = |other: &&str| {
                self.taught
                    .pairs
                    .contains(&((*other).to_owned(), (*next).to_owned()))
            };
            if !chosen.contains(next) && !chosen.iter().any(stood) {
                chosen.push(next);
            }
        }
        chosen
    }

    #[cfg(test)]
    pub fn all(&self) -> &[&'static str] {
        &self.nouns
    }
}

/// A thing as it is wanted.
pub fn wanted(noun: &str) -> Wanted {
    Wanted {
        noun: noun.to_owned(),
        count: 1,
        color: None,
        place: None,
    }
}

/// The same in a colour.
pub fn colored(noun: &str, rng: &mut ChaCha8Rng) -> Wanted {
    let color = Color::ALL[rng.random_range(0..Color::ALL.len())];
    Wanted {
        color: Some(color.name().to_owned()),
        ..wanted(noun)
    }
}

/// `a red fox`, `three blue owls`.
pub fn phrase(thing: &Wanted) -> String {
    const NUMBERS: [&str; 7] = ["no", "one", "two", "three", "four", "five", "six"];
    let color = thing
        .color
        .as_ref()
        .map(|color| format!("{color} "))
        .unwrap_or_default();
    match thing.count {
        1 => article(&format!("{color}{}", thing.noun)),
        many => format!("{} {color}{}", NUMBERS[many as usize], plural(&thing.noun)),
    }
}

/// The truth of these things, each with its number of too many.
pub fn truth(things: Vec<Wanted>) -> Truth {
    let many = |thing: &Wanted| TooMany {
        noun: thing.noun.clone(),
        count: thing.count + 1,
    };
    Truth {
        exclude: things.iter().map(many).collect(),
        things,
        ..Truth::default()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::composer::spoken_of;

    #[test]
    fn nouns_have_one_meaning() {
        let words = Words::of(&spoken_of());
        assert!(words.all().len() > 200, "{}", words.all().len());
        for odd in [
            "moon",
            "orange",
            "bear",
            "black cat",
            "scissors",
            "piñata",
            "Santa Claus",
            "llama",
        ] {
            assert!(!words.all().contains(&odd), "{odd}");
        }
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        assert_eq!(words.nouns(6, &mut rng).len(), 6);
    }

    #[test]
    fn phrases_are_english() {
        let owl = Wanted {
            color: Some("orange".into()),
            ..wanted("owl")
        };
        assert_eq!(phrase(&owl), "an orange owl");
        assert_eq!(phrase(&Wanted { count: 3, ..owl }), "three orange owls");
    }
}
