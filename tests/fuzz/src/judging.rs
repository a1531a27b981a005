//! Lines between `atelier eval` and judges, which may be anybody's programs, and what a judge's own folder says.

use atelier_cli::reading::{self, Said};
use atelier_models::{
    critic::detector::DetectorConfig,
    judge::{self, Names, grade},
};
use atelier_proto::judging::{LookedFor, Truth};
use atelier_worker::trial;

use crate::{
    target::{checkout, files, target},
    texts::{json, samples},
};

/// Knows every noun by itself.
struct Plain;

impl Names for Plain {
    fn name_of(&self, noun: &str) -> Option<String> {
        Some(noun.to_owned())
    }

    fn is_own_color(&self, _: &str, _: &str) -> bool {
        false
    }
}

/// Grades an empty picture: every part of a truth is answered, and what should be there is not.
fn grade_nothing(truth: &Truth) {
    let findings = grade(truth, &[], &Plain);
    let scene = [
        truth.background.is_some(),
        truth.time.is_some(),
        truth.transition.is_some(),
    ];
    let scene = scene.into_iter().filter(|there| *there).count();
    assert_eq!(findings.len() + scene, truth.checks() as usize);
    for finding in findings {
        assert_eq!(finding.ok, finding.kind == "exclude", "{finding:?}");
    }
}

target!(
    judge_question,
    {
        let plan = String::from_utf8(files("proto/fixtures/v1", "plan").remove(0));
        let plan = plan.expect("a plan is text");
        samples(&[
            r#"{"id":"h1","picture":"/tmp/cat.png","looked_for":{"truth":{"things":[{"noun":"bus"},{"noun":"fox","count":2,"color":"red","place":"top left"}],
                "relations":[[1,"left of",0]],"exclude":[{"noun":"fox","count":3}],"background":"beach","transition":["day","night"]}}}"#,
            &format!(r#"{{"id":"h1","picture":"cat.png","looked_for":{{"plan":{plan}}}}}"#),
        ])
    },
    |line: &[u8]| {
        let asked = trial::judge::read(line).ok()?;
        let written = serde_json::to_vec(&asked).expect("what was read can be written");
        let again = trial::judge::read(&written).expect("it is read again");
        assert_eq!(again, asked);
        match asked.looked_for {
            LookedFor::Truth(truth) => {
                truth.check().ok()?;
                assert!(truth.atoms() >= 1);
                grade_nothing(&truth);
            }
            LookedFor::Plan(plan) => plan.validate().ok()?,
        }
        Some(())
    }
);
target!(
    judge_answer,
    samples(&[
        r#"{"judge":"mine","errors":[{"pictures":"all right","right":true,"number":400,"accepted":325}]}"#,
        r#"{"id":"h1","correct":false,"checks":[{"kind":"count","about":"2 x fox","ok":false,"found":"1"}]}"#,
        r#"{"id":"h1","correct":false,"error":"no such file"}"#,
    ]),
    |line: &[u8]| {
        let later = reading::judge(line, false);
        assert!(!matches!(later, Ok(Said::About(_))));
        let said = reading::judge(line, true).ok()?;
        let written = match &said {
            Said::About(about) => serde_json::to_vec(about),
            Said::Graded(graded) => serde_json::to_vec(graded),
        };
        let written = written.expect("what was read can be written");
        assert_eq!(reading::judge(&written, true).ok(), Some(said));
        Some(())
    }
);

/// A file of the default model.
fn model(file: &str) -> Vec<u8> {
    std::fs::read(checkout("deploy/models/atelier-mini").join(file)).expect("the checkout is whole")
}

target!(
    judge_errors,
    vec![model("judge/errors.json"), b"[]".to_vec()],
    |bytes: &[u8]| {
        let errors = judge::parse_errors(bytes).ok()?;
        assert_eq!(json(bytes), Some(errors));
        Some(())
    }
);
target!(
    detector_config,
    vec![
        br#"{"side":64,"widths":[8,8,16,16,16],"names":["cat","dog"],"own_colors":[["orange"],[]],"colors":["red"],"backgrounds":["beach"],"times":["day"],
            "backbone":"separable","calibration":{"presence":{"slope":0.5,"offset":-1},"color":{"slope":1,"offset":0}}}"#
            .to_vec(),
        model("detector/config.json"),
        model("judge/config.json"),
    ],
    |bytes: &[u8]| {
        let config = DetectorConfig::parse(bytes).ok()?;
        assert!((2..=16).contains(&config.grid()));
        assert!(config.widths.iter().all(|width| (8..=1_024).contains(width)));
        assert_eq!(config.own_colors.len(), config.names.len());
        assert_eq!(config.name_channel() + config.names.len() as i64, config.cell_channels());
        for evidence in [0.0, 0.3, 1.0] {
            let likely = config.calibration.presence.likely(evidence);
            assert!((0.0..=1.0).contains(&likely));
        }
        let written = serde_json::to_vec(&config).expect("what was read can be written");
        assert_eq!(DetectorConfig::parse(&written), Ok(config));
        Some(())
    }
);
