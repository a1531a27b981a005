//! What was stored before, by this release or another one, and comes back from the database or the object store.

use atelier_coordinator::reading::{self, Detail};
use atelier_platform::artifacts::MAX_ARTIFACT_BYTES;
use atelier_proto::{
    MediaType, decode,
    report::{Outcome, Report},
    review::Findings,
};
use atelier_worker::results;
use serde_json::Value;

use crate::{
    target::{files, target},
    texts::{DIGEST, json, samples},
};

/// Whether PostgreSQL can hold all texts of a document.
fn is_storable(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.contains('\0'),
        Value::Array(values) => values.iter().all(is_storable),
        Value::Object(values) => values
            .iter()
            .all(|(name, value)| !name.contains('\0') && is_storable(value)),
        _ => true,
    }
}

target!(
    // How a job was done, as its report tells it and the trace reads it.
    reported_detail,
    files("proto/fixtures/v1", "report_"),
    |bytes: &[u8]| {
        let report = decode::<Report>(bytes).ok()?.body;
        // Of a failure there is none.
        if let Some(stored) = reading::detail(&report) {
            assert!(is_storable(
                &serde_json::from_str(&stored).expect("it is JSON")
            ));
            let detail: Detail = serde_json::from_str(&stored).expect("it is read");
            assert_eq!(serde_json::to_string(&detail).ok(), Some(stored));
            if let Some(thought) = detail.thought {
                assert!(thought.text.len() <= 16_384 && thought.reasoning.len() <= 16_384);
                assert!(thought.notes.len() <= 32 && thought.evidence.len() <= 128);
            }
            if let Some(drawn) = detail.drawn {
                assert!(drawn.references.len() <= 32);
            }
        }
        Some(())
    }
);
target!(
    detail,
    samples(&[
        // Earlier releases told less.
        r#"{"drawn":{"steps":4,"size":{"width":8,"height":8},"references":[]}}"#,
        r#"{"thought":{"text":"t","tokens_sampled":1,"tokens_forced":2,"notes":[]}}"#,
        &format!(
            r#"{{"drawn":{{"steps":4,"size":{{"width":8,"height":8}},"references":[{{"element":"cat","reference":"props/cat","sha256":"{DIGEST}"}}],"batch":2,
                "kept":{{"pixels":5,"difference":0,"inputs":["{DIGEST}"],"output":"{DIGEST}"}}}},
                "made":{{"worker":"w","device":"cpu","version":"0.1.0","weights":"{DIGEST}","spent":{{"fetch_ms":1}},"cached":true}},"batch":2}}"#
        ),
    ]),
    json::<Detail>
);
target!(
    findings,
    samples(&[
        r#"{"failed":["k1"],"fixes":[{"kind":"add","element":"cat","noun":"cat","box":[0,0,0.5,0.5],"instruction":"a cat","checks":["k1"]}],
            "contradictory":[],"sentences":["there is no cat"]}"#,
        "{}",
    ]),
    json::<Findings>
);
target!(
    result_pointer,
    samples(&[
        &format!(
            r#"{{"outcome":"rendered","image":{{"sha256":"{DIGEST}","bytes":9,"media_type":"image/png"}},"size":{{"width":8,"height":8}},"steps":4}}"#
        ),
        &format!(
            r#"{{"outcome":"rendered","image":{{"sha256":"{DIGEST}","bytes":9,"media_type":"image/png"}},"size":{{"width":8,"height":8}},"steps":4,
                "references":[{{"element":"cat","reference":"props/cat","sha256":"{DIGEST}"}}],
                "kept":{{"pixels":5,"difference":0,"inputs":["{DIGEST}"],"output":"{DIGEST}"}}}}"#
        ),
    ]),
    |bytes: &[u8]| {
        let (outcome, image) = results::read(bytes)?;
        assert!(image.media_type == MediaType::Png);
        assert!((1..=MAX_ARTIFACT_BYTES).contains(&image.bytes));
        assert!(matches!(&outcome, Outcome::Rendered { image: drawn, .. } if *drawn == image));
        let written = serde_json::to_vec(&outcome).expect("what was read can be written");
        assert_eq!(results::read(&written), Some((outcome, image)));
        Some(())
    }
);
