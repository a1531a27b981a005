//! `traceparent`: what is read, what is refused, and that a trace stays one trace over all its spans.

use atelier_proto::{JobId, Leg, RequestId, TraceContext};
use proptest::prelude::*;

const EXAMPLE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn read(text: &str) -> Option<TraceContext> {
    text.parse().ok()
}

#[test]
fn reads_what_the_recommendation_shows_and_writes_it_back() {
    assert_eq!(
        read(EXAMPLE).map(|read| read.to_string()).as_deref(),
        Some(EXAMPLE)
    );
    let unsampled = EXAMPLE.replace("-01", "-00");
    assert_eq!(
        read(&unsampled).map(|read| read.to_string()),
        Some(unsampled)
    );
    // Flags that this version does not know are not passed on.
    let flags = EXAMPLE.replace("-01", "-ff");
    assert_eq!(read(&flags), read(EXAMPLE));
}

#[test]
fn later_versions_are_read_as_this_one_and_may_have_more_fields() {
    for text in [
        "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-comes",
    ] {
        assert_eq!(read(text), read(EXAMPLE), "{text}");
    }
}

#[test]
fn refuses_everything_else() {
    let zeros = "0".repeat(32);
    let refused = [
        String::new(),
        "00".into(),
        EXAMPLE[1..].into(),
        EXAMPLE[..54].into(),
        format!("{EXAMPLE}-more"),
        format!("{EXAMPLE}0"),
        format!("cc{}.more", &EXAMPLE[2..]),
        format!("ff{}", &EXAMPLE[2..]),
        EXAMPLE.to_uppercase(),
        EXAMPLE.replace('-', "_"),
        EXAMPLE.replace("b7ad6b7169203331", &zeros[..16]),
        EXAMPLE.replace("0af7651916cd43dd8448eb211c80319c", &zeros),
        EXAMPLE.replace("0af7", "0ag7"),
        EXAMPLE.replace("0af7", "\u{e4}f7"),
    ];
    for text in refused {
        assert_eq!(read(&text), None, "{text:?}");
    }
}

#[test]
fn without_a_submitters_trace_the_id_is_that_of_the_request() {
    let request = RequestId::at(1_700_000_000_001, [2; 10]);
    let own = TraceContext::of_request(request, None);
    assert_eq!(
        own.trace_id().to_string(),
        request.to_string().replace('-', "")
    );
    assert_eq!(TraceContext::read(None, request), own);
    assert_eq!(TraceContext::read(Some("00-test"), request), own);
}

/// What has a span of its own within an attempt.
const ATTEMPT_LEGS: [Leg; 7] = [
    Leg::Publish,
    Leg::Fetch,
    Leg::Wait,
    Leg::Device,
    Leg::Store,
    Leg::Report,
    Leg::Collect,
];

proptest! {
    #[test]
    fn no_text_panics_and_what_is_read_is_written_the_same(text in "[0-9a-f]{2}-[0-9a-f]{31,33}-[0-9a-f]{16}-[0-9a-f]{2}(-.{0,4})?|\\PC{0,60}") {
        if let Some(context) = read(&text) {
            let written = context.to_string();
            prop_assert_eq!(written.len(), 55);
            prop_assert_eq!(read(&written), Some(context));
            prop_assert_eq!(&written[3..52], &text[3..52]);
        }
    }

    #[test]
    fn spans_differ_and_stay_in_the_trace_of_the_submitter(trace: [u8; 16], request: [u8; 10], job: [u8; 10], attempts: [u32; 2]) {
        // A request and a job of the same random bits would be the same span; an attempt 0 is none.
        prop_assume!(trace != [0; 16] && attempts[0] != attempts[1] && request != job && !attempts.contains(&0));
        let digits: String = trace.iter().map(|byte| format!("{byte:02x}")).collect();
        let brought = read(&format!("00-{digits}-b7ad6b7169203331-00"));
        prop_assert!(brought.is_some());
        let of_request = TraceContext::of_request(RequestId::at(1, request), brought);
        let spans = attempts.map(|attempt| of_request.of_attempt(JobId::at(2, job), attempt));
        let of_job = of_request.of_job(JobId::at(2, job));
        let mut all = vec![of_request, of_job, of_request.of_leg(Leg::Accept)];
        for span in spans {
            all.push(span);
            all.extend(ATTEMPT_LEGS.map(|leg| span.of_leg(leg)));
        }
        for (at, context) in all.iter().enumerate() {
            prop_assert!(!all[..at].contains(context), "{context:?} twice");
            let context = *context;
            prop_assert_eq!(context.trace_id().to_string(), &*digits);
            // Valid for whoever reads it next: neither id is all zeros.
            prop_assert_eq!(read(&context.to_string()), Some(context));
            prop_assert!(context.to_string().ends_with("-00"));
        }
    }
}
