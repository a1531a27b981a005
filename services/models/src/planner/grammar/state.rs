//! How far a text has come under a schema.

use std::rc::Rc;

use super::{
    Rule, RuleId, Schema,
    choice::{Choice, Cursor},
};

/// A position in a text that the schema accepts so far. Cheap to clone.
#[derive(Clone, Debug)]
pub struct State<'s> {
    schema: &'s Schema,
    open: Vec<Frame>,
    at: Position<'s>,
    remembered: Rc<Choice>,
}

/// An object, array or tuple that is not closed yet.
#[derive(Clone, Copy, Debug)]
struct Frame {
    rule: RuleId,
    /// Object: the member being written. Array and tuple: items already written.
    index: usize,
}

#[derive(Clone, Debug)]
enum Position<'s> {
    /// Inside one of finitely many texts.
    Choice {
        choice: Source<'s>,
        cursor: Cursor,
        then: Then,
    },
    /// Inside a string of any words; `text` begins with the opening quote once that is written.
    Words {
        max: usize,
        remember: bool,
        text: Vec<u8>,
    },
    Complete,
}

#[derive(Clone, Debug)]
enum Source<'s> {
    Schema(&'s Choice),
    Remembered(Rc<Choice>),
}

impl Source<'_> {
    fn get(&self) -> &Choice {
        match self {
            Self::Schema(choice) => choice,
            Self::Remembered(choice) => choice,
        }
    }
}

/// What the end of a choice means.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// A value is complete.
    Value { remember: bool },
    /// The innermost open frame goes on.
    Step,
}

impl Schema {
    /// Before the first byte.
    pub fn start(&self) -> State<'_> {
        let mut state = State {
            schema: self,
            open: Vec::new(),
            at: Position::Complete,
            remembered: Rc::new(Choice::new(Vec::new())),
        };
        state.enter(self.root);
        state
    }
}

impl<'s> State<'s> {
    /// Whether the text is complete. Then nothing may follow.
    pub fn is_complete(&self) -> bool {
        matches!(self.at, Position::Complete)
    }

    /// The bytes that may follow, ascending; empty exactly when the text is complete.
    pub fn allowed(&self) -> Vec<u8> {
        match &self.at {
            Position::Choice { choice, cursor, .. } => choice.get().next(*cursor).collect(),
            Position::Words { max, text, .. } => (0..=u8::MAX)
                .filter(|byte| word_byte(text, *max, *byte))
                .collect(),
            Position::Complete => Vec::new(),
        }
    }

    /// Goes on by one byte. `false` leaves the state as it was: the byte is not allowed here.
    pub fn advance(&mut self, byte: u8) -> bool {
        match &mut self.at {
            Position::Choice {
                choice,
                cursor,
                then,
            } => {
                let Some(next) = choice.get().advance(*cursor, byte) else {
                    return false;
                };
                *cursor = next;
                let complete = choice
                    .get()
                    .complete(next)
                    .map(|(text, meaning)| (text.to_vec(), meaning));
                let then = *then;
                if let Some((text, meaning)) = complete {
                    match then {
                        Then::Value { remember } => self.finish(remember.then_some(text)),
                        Then::Step => self.step(meaning),
                    }
                }
            }
            Position::Words {
                max,
                remember,
                text,
            } => {
                if !word_byte(text, *max, byte) {
                    return false;
                }
                text.push(byte);
                if byte == b'"' && text.len() > 1 {
                    let (text, remember) = (std::mem::take(text), *remember);
                    self.finish(remember.then_some(text));
                }
            }
            Position::Complete => return false,
        }
        true
    }

    /// Goes on by all of `bytes`; `false` as soon as one is not allowed (the state is then useless).
    pub fn advance_all(&mut self, bytes: &[u8]) -> bool {
        bytes.iter().all(|byte| self.advance(*byte))
    }

    /// The bytes that are the only continuation, up to the next choice or the end.
    pub fn forced(&self) -> Vec<u8> {
        let mut state = self.clone();
        let mut forced = Vec::new();
        while let [byte] = state.allowed()[..] {
            state.advance(byte);
            forced.push(byte);
        }
        forced
    }

    /// Begins a value.
    fn enter(&mut self, rule: RuleId) {
        let schema = self.schema;
        let (choice, then) = match &schema.rules[rule.0] {
            Rule::OneOf { texts, remember } => (
                Source::Schema(texts),
                Then::Value {
                    remember: *remember,
                },
            ),
            Rule::Remembered => (
                Source::Remembered(Rc::clone(&self.remembered)),
                Then::Value { remember: false },
            ),
            Rule::Words { max, remember } => {
                self.at = Position::Words {
                    max: *max,
                    remember: *remember,
                    text: Vec::new(),
                };
                return;
            }
            Rule::Object { open, .. } => {
                self.open.push(Frame { rule, index: 0 });
                (Source::Schema(open), Then::Step)
            }
            Rule::Array { .. } | Rule::Tuple(_) => {
                self.open.push(Frame { rule, index: 0 });
                (Source::Schema(&schema.open_bracket), Then::Step)
            }
        };
        self.choose(choice, then);
    }

    /// The innermost frame goes on: `meaning` is the next member of an object, else 0 for one more item and 1 for the end.
    fn step(&mut self, meaning: usize) {
        let Some(frame) = self.open.last_mut() else {
            return;
        };
        let next = match &self.schema.rules[frame.rule.0] {
            Rule::Object { values, .. } => {
                frame.index = meaning;
                values.get(meaning).copied()
            }
            Rule::Array { item, .. } => (meaning == 0).then_some(*item),
            Rule::Tuple(items) => items.get(frame.index).copied().filter(|_| meaning == 0),
            Rule::OneOf { .. } | Rule::Words { .. } | Rule::Remembered => None,
        };
        match next {
            Some(rule) => self.enter(rule),
            None => {
                self.open.pop();
                self.finish(None);
            }
        }
    }

    /// A value is complete: says what may follow it.
    fn finish(&mut self, remember: Option<Vec<u8>>) {
        if let Some(text) = remember {
            self.remembered = Rc::new(self.remembered.with(text));
        }
        let schema = self.schema;
        let Some(frame) = self.open.last_mut() else {
            self.at = Position::Complete;
            return;
        };
        let choice = match &schema.rules[frame.rule.0] {
            Rule::Object { after, .. } => &after[frame.index],
            Rule::Array { min, max, .. } => {
                frame.index += 1;
                if frame.index < *min {
                    &schema.comma
                } else if frame.index < *max {
                    &schema.comma_or_bracket
                } else {
                    &schema.close_bracket
                }
            }
            Rule::Tuple(items) => {
                frame.index += 1;
                if frame.index < items.len() {
                    &schema.comma
                } else {
                    &schema.close_bracket
                }
            }
            Rule::OneOf { .. } | Rule::Words { .. } | Rule::Remembered => {
                unreachable!("only what has parts is ever opened")
            }
        };
        self.choose(Source::Schema(choice), Then::Step);
    }

    fn choose(&mut self, choice: Source<'s>, then: Then) {
        let cursor = choice.get().start();
        self.at = Position::Choice {
            choice,
            cursor,
            then,
        };
    }
}

/// Whether `byte` may follow `text` in a string of words of at most `max` bytes between its quotes.
fn word_byte(text: &[u8], max: usize, byte: u8) -> bool {
    let Some(last) = text.last() else {
        return byte == b'"';
    };
    let length = text.len() - 1;
    match byte {
        b'"' => last.is_ascii_alphanumeric(),
        // One more character must fit after it.
        b' ' | b'-' | b'\'' => last.is_ascii_alphanumeric() && length + 2 <= max,
        _ => byte.is_ascii_alphanumeric() && length < max,
    }
}
