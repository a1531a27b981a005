//! An incremental grammar over bytes: accepts exactly the compact JSON of a schema, one byte at a time.
//!
//! A [`Schema`] is a small arena of rules; a [`State`] walks it. Whatever is accepted can always be completed, so that a model under
//! the grammar never runs into a dead end. Bytes with only one continuation ([`State::forced`]) need no model at all.

mod choice;
mod state;
#[cfg(test)]
mod tests;

use choice::Choice;
pub use state::State;

/// Index of a rule in its schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleId(usize);

/// One member of an object.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its key.
    pub key: &'static str,
    /// What its value is.
    pub value: RuleId,
    /// Whether it may be left out.
    pub optional: bool,
}

/// What a value looks like.
#[derive(Debug)]
enum Rule {
    /// One of finitely many texts, each complete as it stands (a quoted string, a number).
    OneOf { texts: Choice, remember: bool },
    /// A string of 1 to `max` characters: ASCII letters and digits with single ` `, `-` or `'` between them.
    Words { max: usize, remember: bool },
    /// A string that a rule with `remember` has already written.
    Remembered,
    /// Members in their order; `after[i]` chooses what follows when member `i` was the last one written.
    Object {
        open: Choice,
        values: Vec<RuleId>,
        after: Vec<Choice>,
    },
    /// `min` to `max` items, at least one.
    Array {
        item: RuleId,
        min: usize,
        max: usize,
    },
    /// One item of each rule, in brackets.
    Tuple(Vec<RuleId>),
}

/// What a text can look like.
#[derive(Debug)]
pub struct Schema {
    rules: Vec<Rule>,
    root: RuleId,
    comma_or_bracket: Choice,
    comma: Choice,
    open_bracket: Choice,
    close_bracket: Choice,
}

/// Collects rules, leaves first.
#[derive(Debug, Default)]
pub struct SchemaBuilder {
    rules: Vec<Rule>,
}

impl SchemaBuilder {
    /// A string out of `texts`; none when there are no texts. `remember` lets [`SchemaBuilder::remembered`] repeat what was written.
    pub fn one_of<T: AsRef<str>>(
        &mut self,
        texts: impl IntoIterator<Item = T>,
        remember: bool,
    ) -> Option<RuleId> {
        let texts = Choice::new(
            texts
                .into_iter()
                .map(|text| (quoted(text.as_ref()), 0))
                .collect(),
        );
        (!texts.is_empty()).then(|| self.push(Rule::OneOf { texts, remember }))
    }

    /// A number out of `numbers`; none when there are none, or when one begins like another (`1`, `12`).
    pub fn number(&mut self, numbers: impl IntoIterator<Item = u8>) -> Option<RuleId> {
        let texts = Choice::new(
            numbers
                .into_iter()
                .map(|number| (number.to_string().into_bytes(), 0))
                .collect(),
        );
        (!texts.is_empty() && texts.is_prefix_free()).then(|| {
            self.push(Rule::OneOf {
                texts,
                remember: false,
            })
        })
    }

    /// A string of any words, at most `max` bytes (at least 1).
    pub fn words(&mut self, max: usize, remember: bool) -> RuleId {
        self.push(Rule::Words {
            max: max.max(1),
            remember,
        })
    }

    /// A string that was already written under a rule with `remember`; one must stand before it in every text.
    pub fn remembered(&mut self) -> RuleId {
        self.push(Rule::Remembered)
    }

    /// An object whose members stand in this order. The first one cannot be left out.
    pub fn object(&mut self, members: Vec<Member>) -> RuleId {
        let key = |member: &Member, lead: char| {
            let mut text = vec![lead as u8];
            text.extend(quoted(member.key));
            text.push(b':');
            text
        };
        let after = (0..members.len())
            .map(|last| {
                let mut options = Vec::new();
                for (index, member) in members.iter().enumerate().skip(last + 1) {
                    options.push((key(member, ','), index));
                    if !member.optional {
                        return Choice::new(options);
                    }
                }
                options.push((b"}".to_vec(), members.len()));
                Choice::new(options)
            })
            .collect();
        let open = match members.first() {
            Some(first) => key(first, '{'),
            None => b"{}".to_vec(),
        };
        self.push(Rule::Object {
            open: Choice::new(vec![(open, 0)]),
            values: members.iter().map(|member| member.value).collect(),
            after,
        })
    }

    /// An array of `min` to `max` items; both are raised to at least 1.
    pub fn array(&mut self, item: RuleId, min: usize, max: usize) -> RuleId {
        let min = min.max(1);
        self.push(Rule::Array {
            item,
            min,
            max: max.max(min),
        })
    }

    /// An array with one item of each rule, at least one.
    pub fn tuple(&mut self, items: Vec<RuleId>) -> RuleId {
        self.push(Rule::Tuple(items))
    }

    /// The schema of texts that are one value of `root`.
    pub fn build(self, root: RuleId) -> Schema {
        let only = |text: &str| Choice::new(vec![(text.as_bytes().to_vec(), 0)]);
        Schema {
            rules: self.rules,
            root,
            comma_or_bracket: Choice::new(vec![(b",".to_vec(), 0), (b"]".to_vec(), 1)]),
            comma: only(","),
            open_bracket: only("["),
            close_bracket: Choice::new(vec![(b"]".to_vec(), 1)]),
        }
    }

    fn push(&mut self, rule: Rule) -> RuleId {
        self.rules.push(rule);
        RuleId(self.rules.len() - 1)
    }
}

/// A text as a JSON string.
fn quoted(text: &str) -> Vec<u8> {
    serde_json::Value::from(text).to_string().into_bytes()
}
