//! What must hold in a layout, and which of it cannot hold together.

use atelier_proto::plan::Predicate;

use super::{
    Wish,
    square::{ATLAS, Set, Square, holds},
};

/// Something that the prompt says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A thing is in its third of the picture.
    Place(usize),
    /// `subject` stands to `object` like this.
    Relation {
        subject: usize,
        predicate: Predicate,
        object: usize,
    },
}

impl Rule {
    /// Everything that the wishes say, places first, in the prompt's order.
    pub fn all(wishes: &[Wish]) -> Vec<Self> {
        let places = wishes.iter().enumerate();
        let places = places
            .filter(|(_, wish)| wish.place.is_somewhere())
            .map(|(thing, _)| Self::Place(thing));
        let relations = wishes.iter().enumerate().flat_map(|(subject, wish)| {
            wish.relations
                .iter()
                .map(move |(predicate, object)| Self::Relation {
                    subject,
                    predicate: *predicate,
                    object: *object,
                })
        });
        places.chain(relations).collect()
    }

    /// Whether it holds where the things are.
    pub fn holds(self, wishes: &[Wish], at: impl Fn(usize) -> Square) -> bool {
        match self {
            Self::Place(thing) => in_place(&wishes[thing], at(thing)),
            Self::Relation {
                subject,
                predicate,
                object,
            } => holds(predicate, at(subject), at(object)),
        }
    }
}

fn in_place(wish: &Wish, square: Square) -> bool {
    let (column, row) = square.thirds();
    wish.place.column.is_none_or(|wanted| wanted == column)
        && wish.place.row.is_none_or(|wanted| wanted == row)
}

/// Where things may be under some rules: a set of squares each, which only shrinks.
#[derive(Clone, Debug)]
pub struct Domains(pub Vec<Set>);

/// The rule under which no square is left for a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Empty(pub usize);

impl Domains {
    /// Those of `base` that the places among the rules allow.
    pub fn new(base: &[Set], wishes: &[Wish], rules: &[Rule]) -> Result<Self, Empty> {
        let mut domains = base.to_vec();
        for (number, rule) in rules.iter().enumerate() {
            if let Rule::Place(thing) = rule {
                let wish = &wishes[*thing];
                domains[*thing] = ATLAS.filter(domains[*thing], |square| in_place(wish, square));
                if domains[*thing].is_empty() {
                    return Err(Empty(number));
                }
            }
        }
        Ok(Self(domains))
    }

    /// Strikes out squares that no square of the other thing of a relation goes with, until none is left to strike out.
    pub fn settle(&mut self, rules: &[Rule]) -> Result<(), Empty> {
        self.settle_after(rules, Things::ALL)
    }

    /// The same of domains that were settled before only these things had squares taken away.
    pub fn settle_after(&mut self, rules: &[Rule], changed: Things) -> Result<(), Empty> {
        let mut before = changed;
        while !before.is_empty() {
            // Those that change in this pass.
            let mut now = Things::default();
            for (number, rule) in rules.iter().enumerate() {
                if let Rule::Relation {
                    subject,
                    predicate,
                    object,
                } = *rule
                {
                    for (one, other, is_subject) in
                        [(subject, object, true), (object, subject, false)]
                    {
                        // What went with the other's squares still does.
                        if !before.has(other) && !now.has(other) {
                            continue;
                        }
                        let (domain, others) = (self.0[one], self.0[other]);
                        let kept = Set::of(domain.iter().filter(|square| {
                            let partners = ATLAS.partner(predicate, *square, is_subject);
                            partners.and(ATLAS.apart(*square)).meets(&others)
                        }));
                        if kept.is_empty() {
                            return Err(Empty(number));
                        }
                        if kept != domain {
                            now.add(one);
                            self.0[one] = kept;
                        }
                    }
                }
            }
            before = now;
        }
        Ok(())
    }
}

/// Some of the things of a layout, which are far fewer than 64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Things(u64);

impl Things {
    /// Every thing.
    pub const ALL: Self = Self(u64::MAX);

    /// Takes a thing in.
    pub const fn add(&mut self, thing: usize) {
        self.0 |= 1 << thing;
    }

    const fn has(self, thing: usize) -> bool {
        self.0 & (1 << thing) != 0
    }

    const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Whether striking out alone shows that the rules cannot hold together.
fn is_contradictory(base: &[Set], wishes: &[Wish], rules: &[Rule]) -> bool {
    let settled = Domains::new(base, wishes, rules).and_then(|mut domains| domains.settle(rules));
    settled.is_err()
}

/// The most of the rules that do not plainly contradict each other: what is said first wins, unless leaving one of those out lets more of the
/// later ones in.
pub fn consistent(base: &[Set], wishes: &[Wish], rules: &[Rule]) -> Vec<Rule> {
    if !is_contradictory(base, wishes, rules) {
        return rules.to_vec();
    }
    let fill = |mut kept: Vec<Rule>, rest: &[Rule]| {
        for rule in rest {
            kept.push(*rule);
            if is_contradictory(base, wishes, &kept) {
                kept.pop();
            }
        }
        kept
    };
    let mut best = fill(Vec::new(), rules);
    let mut better = true;
    while better {
        better = false;
        let left: Vec<Rule> = rules
            .iter()
            .filter(|rule| !best.contains(rule))
            .copied()
            .collect();
        if left.len() < 2 {
            break;
        }
        for out in 0..best.len() {
            let mut fewer = best.clone();
            let removed = fewer.remove(out);
            let mut rest = left.clone();
            rest.push(removed);
            let tried = fill(fewer, &rest);
            if tried.len() > best.len() {
                best = tried;
                better = true;
                break;
            }
        }
    }
    best
}
