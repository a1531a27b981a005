//! Parity: every network against what the original Python libraries computed from the same files, and deliberate mistakes, each caught.
//!
//! A family is a module with a check (`fn(&Subject, &mut Comparison) -> Result<(), Failure>`) that its tests run on the small files carried
//! along, on the full set where `ATELIER_REFERENCE_DIR` names it, and on copies with one mistake each.

#![expect(clippy::unwrap_used, reason = "in tests a panic is the report")]

mod compare;
mod critic;
mod klein;
mod language;
mod mutation;
mod pictures;
mod subject;
mod zimage;

use compare::{Comparison, Failure};
use mutation::{Mutation, assert_all_caught};
use subject::Subject;

/// Compares a network with its reference; an error is what kept it from being compared.
type Check = fn(&Subject, &mut Comparison) -> Result<(), Failure>;

/// The check passes on the files carried along and, where it is there, on the full set.
#[track_caller]
fn assert_parity(checkpoint: &str, dump: &str, check: Check) {
    assert_carried(checkpoint, dump, check);
    assert_full(checkpoint, dump, check);
}

/// The check passes on the files carried along.
#[track_caller]
fn assert_carried(checkpoint: &str, dump: &str, check: Check) {
    assert_same(&Subject::carried(checkpoint, dump), check);
}

/// The check passes on the full set, where it is there.
#[track_caller]
fn assert_full(checkpoint: &str, dump: &str, check: Check) {
    match Subject::full(checkpoint, dump) {
        Some(subject) => assert_same(&subject, check),
        None => println!(
            "NOT RUN: {dump} of the full set; ATELIER_REFERENCE_DIR does not name the folder with its tiny/ and ref/"
        ),
    }
}

#[track_caller]
fn assert_same(subject: &Subject, check: Check) {
    let mut comparison = Comparison::default();
    if let Err(failure) = check(subject, &mut comparison) {
        panic!("{}: {failure}", subject.name());
    }
    comparison.assert_same(&subject.name());
}
