//! The nouns of training prompts: the catalogue with its synonyms, and many things that it does not have.

use atelier_models::{planner::PromptWords, props::vocabulary::Color};
use rand::{Rng, RngExt, seq::IndexedRandom};

use crate::composer::spoken_of;

/// A noun in both numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noun {
    /// As one says it of one, lower case.
    pub single: String,
    /// As one says it of several; equal to `single` for what is not counted.
    pub plural: String,
    /// A substance, or a word without a singular: no article, no count.
    pub mass: bool,
    /// There is one of it (the Earth, Santa Claus): never counted, as it is written.
    pub name: Option<String>,
}

/// Words of which there is one.
const UNIQUE: &[&str] = &["moon", "sun", "full moon", "world"];

/// Every noun, the catalogue's first.
pub struct Nouns {
    nouns: Vec<Noun>,
    /// How many are names or synonyms of the catalogue.
    catalogue: usize,
}

impl Nouns {
    /// All of them.
    pub fn new() -> Self {
        let mut nouns = Vec::new();
        for entry in spoken_of() {
            for (index, word) in std::iter::once(entry.name)
                .chain(entry.synonyms.iter().copied())
                .enumerate()
            {
                // `black cat`, `red book`: in a prompt such a colour is asked for.
                let first = word.split(' ').next().unwrap_or_default();
                if word.contains(' ')
                    && Color::ALL
                        .iter()
                        .any(|color| color.words().contains(&first))
                {
                    continue;
                }
                nouns.push(noun(word, !entry.article && index == 0));
            }
        }
        // What the grammar would not take for one noun: `corn on the cob`.
        nouns.retain(|noun| {
            PromptWords::read(&noun.single)
                .nouns()
                .contains(&noun.single)
        });
        let catalogue = nouns.len();
        for line in include_str!("nouns.txt").lines() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (line, mass) = match line.strip_prefix('~') {
                Some(rest) => (rest, true),
                None => (line, false),
            };
            match line.split_once(" / ") {
                Some((single, plural)) => nouns.push(Noun {
                    plural: plural.to_owned(),
                    ..noun(single, mass)
                }),
                None => nouns.push(noun(line, mass)),
            }
        }
        Self { nouns, catalogue }
    }

    /// Any noun; three of four from the catalogue.
    pub fn pick(&self, rng: &mut impl Rng) -> &Noun {
        let half = if rng.random_bool(0.72) {
            &self.nouns[..self.catalogue]
        } else {
            &self.nouns[self.catalogue..]
        };
        half.choose(rng)
            .expect("both halves are lists in the source")
    }
}

fn noun(word: &str, mass: bool) -> Noun {
    let single = word.to_lowercase();
    let unique = UNIQUE.contains(&single.as_str()) || single != word && !single.starts_with("t-");
    // A synonym of something that is one, in the plural itself: `sneakers`, `clouds`.
    let mass = mass
        || single.ends_with('s')
            && !single.ends_with("ss")
            && !matches!(
                single.as_str(),
                "bus"
                    | "school bus"
                    | "octopus"
                    | "cactus"
                    | "compass"
                    | "santa claus"
                    | "walrus"
                    | "tyrannosaurus"
                    | "brontosaurus"
                    | "rhinoceros"
                    | "hibiscus"
                    | "circus"
                    | "hippopotamus"
                    | "asparagus"
                    | "minibus"
                    | "iris"
                    | "t-rex"
            );
    Noun {
        plural: if mass || unique {
            single.clone()
        } else {
            plural(&single)
        },
        name: unique.then(|| word.to_owned()),
        single,
        mass,
    }
}

/// Words on `o` whose plural has an `e`.
const WITH_ES: [&str; 6] = ["tomato", "potato", "hero", "superhero", "volcano", "mango"];

/// The plural of a phrase's head: `cups of coffee`, `mice`.
pub fn plural(phrase: &str) -> String {
    if let Some((head, rest)) = phrase.split_once(" of ") {
        return format!("{} of {rest}", plural(head));
    }
    let (before, last) = match phrase.rsplit_once(' ') {
        Some((before, last)) => (format!("{before} "), last),
        None => (String::new(), phrase),
    };
    let irregular = match last {
        "mouse" => "mice",
        "goose" => "geese",
        "man" => "men",
        "woman" => "women",
        "child" => "children",
        "person" => "people",
        "snowman" => "snowmen",
        "policeman" => "policemen",
        "policewoman" => "policewomen",
        "fireman" => "firemen",
        "spaceman" => "spacemen",
        "spacewoman" => "spacewomen",
        "die" => "dice",
        "sheep" | "fish" | "deer" | "moose" | "shrimp" | "squid" | "spacecraft" | "swordfish"
        | "clownfish" | "goldfish" | "jellyfish" | "aircraft" | "sushi" => last,
        "wolf" => "wolves",
        "knife" => "knives",
        "leaf" => "leaves",
        "loaf" => "loaves",
        "calf" => "calves",
        "tooth" => "teeth",
        "foot" => "feet",
        _ => "",
    };
    let plural = if !irregular.is_empty() {
        irregular.to_owned()
    } else if let Some(stem) = last
        .strip_suffix('y')
        .filter(|stem| !stem.ends_with(['a', 'e', 'i', 'o', 'u']))
    {
        format!("{stem}ies")
    } else if last.ends_with(['s', 'x', 'z'])
        || last.ends_with("ch")
        || last.ends_with("sh")
        || WITH_ES.contains(&last)
    {
        format!("{last}es")
    } else {
        format!("{last}s")
    };
    before + &plural
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nouns_have_both_numbers() {
        for (single, many) in [
            ("cat", "cats"),
            ("cup of coffee", "cups of coffee"),
            ("computer mouse", "computer mice"),
            ("cherry", "cherries"),
            ("monkey", "monkeys"),
            ("fox", "foxes"),
        ] {
            assert_eq!(plural(single), many);
        }
        let nouns = Nouns::new();
        assert!(nouns.catalogue > 700 && nouns.nouns.len() > nouns.catalogue + 200);
        let find = |single: &str| {
            nouns
                .nouns
                .iter()
                .find(|noun| noun.single == single)
                .unwrap()
        };
        assert_eq!(find("earth").name.as_deref(), Some("Earth"));
        assert!(find("grapes").mass && find("sneakers").mass && !find("bus").mass);
        assert!(nouns.nouns.iter().all(|noun| noun.single != "black cat"));
    }
}
