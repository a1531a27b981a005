//! Shows that a check can fail: each deliberate mistake in a copy of the files is found.
//!
//! Mistakes are made in what the network reads (its configuration, its tensors, its inputs), never in its code: a base of the rotation that
//! is ignored computes what another base in the configuration computes, swapped halves what swapped rows compute.

use super::{Check, Comparison, Subject};

/// A mistake that a port could make.
pub struct Mutation {
    /// What the port would do wrong.
    pub name: &'static str,
    /// Makes it.
    pub make: fn(&mut Subject),
}

impl Mutation {
    /// For lists.
    pub const fn new(name: &'static str, make: fn(&mut Subject)) -> Self {
        Self { name, make }
    }
}

/// The check passes as it stands, and finds every one of the mistakes: it refuses the files with a sentence, or a tensor differs.
#[track_caller]
pub fn assert_all_caught(checkpoint: &str, dump: &str, check: Check, mutations: &[Mutation]) {
    let subject = Subject::carried(checkpoint, dump);
    let mut comparison = Comparison::default();
    check(&subject, &mut comparison).unwrap();
    comparison.assert_same(&subject.name());
    let mut missed = Vec::new();
    for Mutation { name, make } in mutations {
        let mut subject = subject.copy();
        make(&mut subject);
        let mut comparison = Comparison::default();
        let found = match check(&subject, &mut comparison) {
            Err(refused) => Some(refused.to_string()),
            Ok(()) => comparison.difference().map(str::to_owned),
        };
        match found {
            Some(found) => println!("caught  {name}: {found}"),
            None => {
                println!("MISSED  {name}");
                missed.push(*name);
            }
        }
    }
    assert!(missed.is_empty(), "not caught: {}", missed.join(", "));
}
