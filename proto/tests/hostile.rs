//! What arrives may be anything: rubbish, half a message, a message of tomorrow. None of it panics, none is taken for something else.

mod samples;

use atelier_proto::{
    DecodeError, Sha256, decode, encode,
    envelope::{MAX_BYTES, VERSION},
    http::SubmitRequest,
    job::JobOffer,
    plan::{BBox, Plan},
    report::{Report, ReportAnswer, ReportAnswers, Reports},
    signal::{Cancel, Heartbeat, Progress, Quarantine},
    subject::{Names, check_token},
};
use proptest::prelude::*;

/// Tries the bytes as every message; the results only have to exist.
fn decode_all(bytes: &[u8]) -> [bool; 9] {
    [
        decode::<JobOffer>(bytes).is_ok(),
        decode::<Report>(bytes).is_ok(),
        decode::<ReportAnswer>(bytes).is_ok(),
        decode::<Reports>(bytes).is_ok(),
        decode::<ReportAnswers>(bytes).is_ok(),
        decode::<Progress>(bytes).is_ok(),
        decode::<Heartbeat>(bytes).is_ok(),
        decode::<Cancel>(bytes).is_ok(),
        decode::<Quarantine>(bytes).is_ok(),
    ]
}

fn every_message() -> Vec<Vec<u8>> {
    let offers = samples::offers()
        .into_iter()
        .map(|(_, message)| encode(&message, None));
    let reports = samples::reports()
        .into_iter()
        .map(|(_, message)| encode(&message, None));
    let answers = samples::answers()
        .into_iter()
        .map(|(_, message)| encode(&message, None));
    let signals = [
        encode(&samples::offer_plan_full(), None),
        encode(&samples::report_thought(), None),
        encode(&samples::report_made(), None),
        encode(&samples::report_loaded(), None),
        encode(&samples::report_sources(), None),
        encode(&samples::offer_render_kept(), None),
        encode(&samples::progress(), None),
        encode(&samples::heartbeat(), None),
        encode(&samples::cancel(), None),
        encode(&samples::quarantine(), None),
        encode(&samples::reports_together(), None),
        encode(&samples::answers_together(), None),
    ];
    let (offer, report, progress, heartbeat) = samples::later_messages();
    let (offers_again, reports_again) = samples::remedies();
    let again = offers_again
        .into_iter()
        .map(|(_, message)| encode(&message, None));
    let again = again.chain(
        reports_again
            .into_iter()
            .map(|(_, message)| encode(&message, None)),
    );
    let later = [
        encode(&offer, None),
        encode(&report, None),
        encode(&progress, None),
        encode(&heartbeat, None),
    ];
    offers
        .chain(reports)
        .chain(answers)
        .chain(signals)
        .chain(later)
        .chain(again)
        .collect()
}

#[test]
fn a_cut_message_is_never_whole() {
    for message in every_message() {
        for length in 0..message.len() {
            assert_eq!(
                decode_all(&message[..length]),
                [false; 9],
                "cut to {length} of {}",
                message.len()
            );
        }
    }
}

#[test]
fn a_newer_version_is_refused_by_name_and_unknown_fields_are_not() {
    #[derive(serde::Serialize)]
    struct Tomorrow<'a> {
        v: u16,
        shape: &'a str,
        body: TomorrowsCancel,
    }
    #[derive(serde::Serialize)]
    struct TomorrowsCancel {
        request: atelier_proto::RequestId,
        because: &'static str,
    }
    let of = |v| {
        let body = TomorrowsCancel {
            request: samples::request(),
            because: "of rain",
        };
        rmp_serde::to_vec_named(&Tomorrow {
            v,
            shape: "new",
            body,
        })
        .unwrap()
    };
    assert!(
        matches!(decode::<Cancel>(&of(VERSION + 1)), Err(DecodeError::Newer(newer)) if newer == VERSION + 1)
    );
    assert_eq!(
        decode::<Cancel>(&of(VERSION)).unwrap().body,
        samples::cancel()
    );
}

#[test]
fn too_long_is_refused_unread() {
    assert!(matches!(
        decode::<Cancel>(&vec![0; MAX_BYTES + 1]),
        Err(DecodeError::TooLong(_))
    ));
}

#[test]
fn nesting_is_bounded() {
    let deep = vec![0x91; 100_000];
    assert_eq!(decode_all(&deep), [false; 9]);
    let text = "[".repeat(100_000);
    assert!(serde_json::from_str::<Plan>(&text).is_err());
}

/// A plan whose parts are all over the place: some valid, most not.
fn any_plan() -> impl Strategy<Value = Plan> {
    let number = prop_oneof![
        any::<f32>(),
        0.0_f32..=1.0,
        Just(f32::NAN),
        Just(f32::INFINITY),
    ];
    let ids = proptest::collection::vec("[a-c]{0,2}|\\PC{0,3}", 8);
    (
        ids,
        proptest::collection::vec(number, 8),
        0_usize..6,
        any::<u32>(),
    )
        .prop_map(|(ids, numbers, cut, count)| {
            let mut plan = samples::plan();
            for (element, id) in plan.elements.iter_mut().zip(&ids) {
                element.id.clone_from(id);
                element.count = count;
                element.bbox = Some(BBox([numbers[0], numbers[1], numbers[2], numbers[3]]));
            }
            for (stage, id) in plan.stages.iter_mut().zip(&ids[2..]) {
                stage.id.clone_from(id);
            }
            plan.checks.truncate(cut);
            plan.stages.truncate(cut);
            plan
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn rubbish_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        decode_all(&bytes);
        let _ = serde_json::from_slice::<Plan>(&bytes);
        let _ = serde_json::from_slice::<SubmitRequest>(&bytes);
    }

    #[test]
    fn a_damaged_message_never_panics(which in 0_usize..19, at in any::<prop::sample::Index>(), with: u8) {
        let messages = every_message();
        let mut message = messages[which % messages.len()].clone();
        let at = at.index(message.len());
        message[at] = with;
        decode_all(&message);
    }

    #[test]
    fn validation_never_panics_and_what_passes_has_an_end(plan in any_plan()) {
        if plan.validate().is_ok() {
            prop_assert!(plan.sink().is_some());
            let edges = plan.elements.iter().filter_map(|element| element.bbox).flat_map(|bbox| bbox.0);
            prop_assert!(edges.clone().all(|edge| (0.0..=1.0).contains(&edge)));
        }
        // What is written can be read back as the same.
        if plan.elements.iter().all(|element| element.bbox.is_none_or(|bbox| bbox.0.iter().all(|edge| edge.is_finite()))) {
            let text = serde_json::to_string(&plan).unwrap();
            prop_assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
        }
    }

    #[test]
    fn messages_survive_the_way(prompt in "\\PC{0,200}", seed: u64, attempt: u32, trace in proptest::option::of("\\PC{0,60}")) {
        let (_, mut offer) = samples::offers().swap_remove(0);
        offer.attempt = attempt;
        if let atelier_proto::job::Work::Plan(work) = &mut offer.work {
            work.prompt = prompt;
            work.seed = seed;
        }
        let read = decode::<JobOffer>(&encode(&offer, trace.as_deref())).unwrap();
        prop_assert_eq!(read.body, offer);
        prop_assert_eq!(read.trace, trace);
    }

    #[test]
    fn no_prefix_widens_a_subject(prefix in "\\PC{0,70}") {
        match Names::new(&prefix) {
            Ok(names) => {
                prop_assert!(check_token(&prefix).is_ok());
                let subject = names.progress(samples::request());
                prop_assert_eq!(subject.split('.').count(), 3);
                prop_assert!(!subject.contains(['*', '>', ' ']));
            }
            Err(_) => prop_assert!(prefix.is_empty() || prefix.len() > 64 || prefix.chars().any(|c| !c.is_ascii_alphanumeric() && c != '-' && c != '_')),
        }
    }

    #[test]
    fn digests_read_back(bytes: [u8; 32], other in "[0-9a-fA-F]{60,68}|\\PC{64}") {
        prop_assert_eq!(Sha256(bytes).to_string().parse(), Ok(Sha256(bytes)));
        if let Ok(digest) = other.parse::<Sha256>() {
            prop_assert_eq!(digest.to_string(), other);
        }
    }
}
