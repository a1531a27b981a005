use atelier_proto::{JobId, RequestId, encode, job::Size};
use proptest::prelude::*;

use super::*;

fn offer(work: Work) -> JobOffer {
    JobOffer {
        job: JobId::at(1, [1; 10]),
        attempt: 1,
        request: RequestId::at(1, [2; 10]),
        lease_ms: 30_000,
        avoid: Vec::new(),
        alone: false,
        work,
    }
}

fn plan_work(prompt: &str) -> Work {
    Work::Plan(PlanWork {
        prompt: prompt.into(),
        seed: 1,
        references: Vec::new(),
        findings: Vec::new(),
        keep_for: None,
        think: Default::default(),
        think_tokens: None,
    })
}

fn artifact(media_type: MediaType) -> ArtifactRef {
    atelier_platform::artifacts::describe(b"x", media_type)
}

fn render_work(width: u32, steps: Option<u32>, plan: MediaType) -> Work {
    Work::Render(RenderWork {
        plan: artifact(plan),
        stage: "out".into(),
        seed: 1,
        steps,
        size: Some(Size { width, height: 64 }),
        inputs: Vec::new(),
        references: Vec::new(),
        fix: None,
        keep_for: None,
    })
}

fn reason(work: Work) -> Option<String> {
    match read(&encode(&offer(work), None)) {
        Offer::Good(_) => None,
        Offer::Bad(_, reason) => Some(reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_keeps_the_limits_is_good_and_what_does_not_says_why() {
    assert_eq!(reason(plan_work("a cat")), None);
    assert_eq!(reason(render_work(64, Some(4), MediaType::Json)), None);
    let too_long = "x".repeat(MAX_PROMPT_BYTES + 1);
    assert_eq!(
        reason(plan_work(&too_long)).unwrap(),
        "the prompt is too long"
    );
    for tokens in [0, 4_097] {
        let mut long = plan_work("a cat");
        if let Work::Plan(work) = &mut long {
            work.think_tokens = Some(tokens);
        }
        assert_eq!(
            reason(long).unwrap(),
            "the tokens of a thought are out of range"
        );
    }
    assert_eq!(
        reason(render_work(1 << 20, None, MediaType::Json)).unwrap(),
        "the size is out of range"
    );
    assert_eq!(
        reason(render_work(64, Some(0), MediaType::Json)).unwrap(),
        "the number of steps is out of range"
    );
    assert_eq!(
        reason(render_work(64, None, MediaType::Png)).unwrap(),
        "the plan is not application/json"
    );
}

#[test]
fn a_newer_message_is_told_from_rubbish() {
    // The version is read before the body, whatever that has become.
    let mut bytes = encode(&offer(plan_work("a cat")), None);
    assert!(matches!(read(&bytes[..10]), Offer::Malformed(_)));
    let at = bytes
        .windows(3)
        .position(|three| three == [0xa1, b'v', 1])
        .unwrap();
    bytes[at + 2] = 2;
    assert!(matches!(read(&bytes), Offer::Newer(_)));
}

proptest! {
    #[test]
    fn no_bytes_make_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes);
    }

    #[test]
    fn no_damage_to_a_good_message_makes_reading_panic(at in 0_usize..200, value in any::<u8>()) {
        let mut bytes = encode(&offer(render_work(64, Some(4), MediaType::Json)), Some("00-trace"));
        let at = at % bytes.len();
        bytes[at] = value;
        let _ = read(&bytes);
    }
}
