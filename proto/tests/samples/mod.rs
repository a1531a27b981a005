//! One filled-in value of every message, the same at every run.

use std::sync::Arc;

use atelier_proto::{
    ArtifactRef, JobId, MediaType, RequestId, Sha256, TenantId, WorkerId,
    job::{CritiqueWork, JobKind, JobOffer, NamedReference, PlanWork, RenderWork, Size, Work},
    made::{Made, Spent},
    plan::{
        BBox, Check, Element, Mask, PLAN_VERSION, Plan, Predicate, Question, Relation, Stage,
        StageOp,
    },
    report::{
        Cited, Kept, Outcome, Report, ReportAnswer, ReportAnswers, Reports, Thought, UsedReference,
    },
    review::{Answer, Fix, FixKind, Review, Sighting, Verdict},
    signal::{Cancel, Heartbeat, Progress, Quarantine},
};

pub fn job() -> JobId {
    JobId::at(1_700_000_000_000, [1; 10])
}

pub fn request() -> RequestId {
    RequestId::at(1_700_000_000_001, [2; 10])
}

pub fn worker() -> WorkerId {
    WorkerId::at(1_700_000_000_002, [3; 10])
}

pub fn artifact(byte: u8, media_type: MediaType) -> ArtifactRef {
    ArtifactRef {
        sha256: Sha256([byte; 32]),
        bytes: 1_234,
        media_type,
    }
}

pub fn plan() -> Plan {
    let element = |id: &str, bbox: [f32; 4]| Element {
        id: id.into(),
        noun: id.into(),
        count: 1,
        attributes: vec!["in a spacesuit".into()],
        colors: vec!["orange".into()],
        bbox: Some(BBox(bbox)),
        reference: Some(format!("props/{id}")),
    };
    let questions = [
        Question::Presence {
            element: "cat".into(),
        },
        Question::Count {
            noun: "cat".into(),
            expect: 1,
        },
        Question::Color {
            element: "cat".into(),
            expect: "orange".into(),
        },
        Question::Position {
            element: "radio".into(),
            expect: BBox([0.0, 0.5, 0.25, 0.75]),
        },
        Question::Relation {
            subject: "radio".into(),
            predicate: Predicate::LeftOf,
            object: "cat".into(),
        },
        Question::Text {
            expect: "ATELIER".into(),
        },
    ];
    Plan {
        version: PLAN_VERSION,
        reasoning: "two things".into(),
        caption: "a cat and a radio".into(),
        style: "3D".into(),
        lighting: "night".into(),
        background: "moon surface".into(),
        elements: vec![
            element("cat", [0.25, 0.25, 0.75, 0.75]),
            element("radio", [0.0, 0.5, 0.25, 0.75]),
        ],
        relations: vec![Relation {
            subject: "radio".into(),
            predicate: Predicate::LeftOf,
            object: "cat".into(),
        }],
        stages: vec![
            Stage {
                id: "day".into(),
                op: StageOp::Generate {
                    caption: "by day".into(),
                },
            },
            Stage {
                id: "night".into(),
                op: StageOp::Edit {
                    input: "day".into(),
                    instruction: "at night".into(),
                    strength: 0.75,
                },
            },
            Stage {
                id: "both".into(),
                op: StageOp::Blend {
                    inputs: vec!["day".into(), "night".into()],
                    mask: Mask::Linear {
                        angle: 0.0,
                        from: 0.25,
                        to: 0.75,
                    },
                },
            },
            Stage {
                id: "out".into(),
                op: StageOp::Repair {
                    input: "both".into(),
                    bbox: BBox([0.0, 0.0, 0.5, 0.5]),
                    instruction: "a cat".into(),
                },
            },
        ],
        checks: questions
            .into_iter()
            .enumerate()
            .map(|(index, question)| Check {
                id: format!("k{}", index + 1),
                question,
            })
            .collect(),
    }
}

pub fn review() -> Review {
    Review {
        verdicts: vec![Verdict {
            check: "k1".into(),
            answer: Answer::Pass,
            confidence: 0.75,
            found: "1 x cat".into(),
            boxes: vec![BBox([0.25, 0.25, 0.75, 0.75])],
        }],
        seen: vec![Sighting {
            name: "cat".into(),
            color: Some("orange".into()),
            confidence: 0.5,
            bbox: BBox([0.25, 0.25, 0.75, 0.75]),
            element: None,
        }],
        fixes: Vec::new(),
        findings: Vec::new(),
        contradictory: Vec::new(),
    }
}

fn reference() -> NamedReference {
    NamedReference {
        name: "cat".into(),
        picture: artifact(7, MediaType::Png),
    }
}

pub fn offers() -> Vec<(&'static str, JobOffer)> {
    let offer = |work| JobOffer {
        job: job(),
        attempt: 2,
        request: request(),
        lease_ms: 10_000,
        avoid: Vec::new(),
        alone: false,
        work,
    };
    vec![
        (
            "offer_plan",
            offer(Work::Plan(PlanWork {
                prompt: "a cat".into(),
                seed: u64::MAX,
                references: vec![reference()],
                findings: Vec::new(),
                keep_for: None,
                think: atelier_proto::job::Think::Fast,
                think_tokens: None,
            })),
        ),
        (
            "offer_render",
            offer(Work::Render(RenderWork {
                plan: artifact(1, MediaType::Json),
                stage: "out".into(),
                seed: 42,
                steps: Some(12),
                size: Some(Size {
                    width: 128,
                    height: 96,
                }),
                inputs: vec![artifact(2, MediaType::Png)],
                references: vec![reference()],
                fix: None,
                keep_for: None,
            })),
        ),
        (
            "offer_critique",
            offer(Work::Critique(CritiqueWork {
                plan: artifact(1, MediaType::Json),
                image: artifact(2, MediaType::Png),
            })),
        ),
    ]
}

pub fn reports() -> Vec<(&'static str, Report)> {
    let report = |outcome| Report {
        job: job(),
        attempt: 2,
        request: request(),
        worker: worker(),
        sources: None,
        device_ms: 1_500,
        batch: 1,
        outage: false,
        made: None,
        outcome,
    };
    vec![
        (
            "report_planned",
            report(Outcome::Planned {
                plan: Arc::new(plan()),
                artifact: artifact(1, MediaType::Json),
                thought: Thought {
                    text: "{}".into(),
                    tokens_sampled: 30,
                    tokens_forced: 60,
                    notes: vec!["not in the plan: zeppelin".into()],
                    reasoning: String::new(),
                    evidence: Vec::new(),
                    coverage: None,
                },
            }),
        ),
        (
            "report_rendered",
            report(Outcome::Rendered {
                image: artifact(2, MediaType::Png),
                size: Size {
                    width: 128,
                    height: 128,
                },
                steps: 12,
                references: vec![UsedReference {
                    element: "cat".into(),
                    reference: "props/cat".into(),
                    sha256: Sha256([9; 32]),
                }],
                kept: None,
            }),
        ),
        (
            "report_reviewed",
            report(Outcome::Reviewed {
                review: Arc::new(review()),
                artifact: artifact(3, MediaType::Json),
                score: review().score(),
            }),
        ),
        (
            "report_failed",
            report(Outcome::Failed {
                reason: "no memory".into(),
                retry: true,
            }),
        ),
        ("report_returned", report(Outcome::Returned)),
    ]
}

pub fn answers() -> Vec<(&'static str, ReportAnswer)> {
    vec![
        ("answer_committed", ReportAnswer::Committed),
        ("answer_superseded", ReportAnswer::Superseded),
        ("answer_refused", ReportAnswer::Refused),
    ]
}

pub fn reports_together() -> Reports {
    let reports = reports().into_iter().take(2);
    Reports {
        reports: reports
            .map(|(_, report)| atelier_proto::encode(&report, None).into())
            .collect(),
    }
}

pub fn answers_together() -> ReportAnswers {
    ReportAnswers {
        answers: vec![ReportAnswer::Committed, ReportAnswer::Superseded],
    }
}

pub fn progress() -> Progress {
    Progress {
        job: job(),
        attempt: 2,
        request: request(),
        worker: worker(),
        kind: JobKind::Render,
        step: 3,
        total: 12,
        preview_png: Some(vec![0x89, b'P', b'N', b'G']),
        computed: Vec::new(),
    }
}

pub fn heartbeat() -> Heartbeat {
    Heartbeat {
        worker: worker(),
        name: "host-1:4711".into(),
        roles: JobKind::ALL.to_vec(),
        model: "atelier-mini".into(),
        device: "cpu".into(),
        holding: vec![(job(), 2)],
        draining: false,
        on_device: Vec::new(),
        computed: Vec::new(),
        kept_from: Vec::new(),
    }
}

/// The fields that came later are filled in.
pub fn later_messages() -> (JobOffer, Report, Progress, Heartbeat) {
    let (_, offer) = offers().remove(0);
    let (_, report) = reports().remove(3);
    let other = (JobId::at(1_700_000_000_003, [4; 10]), 1);
    (
        JobOffer {
            avoid: vec![worker()],
            alone: true,
            ..offer
        },
        Report {
            batch: 4,
            outage: true,
            ..report
        },
        Progress {
            step: 0,
            preview_png: None,
            computed: vec![other],
            ..progress()
        },
        Heartbeat {
            on_device: vec![(job(), 2)],
            computed: vec![other],
            kept_from: vec![JobKind::Render],
            ..heartbeat()
        },
    )
}

/// A plan that is thought about at length.
pub fn offer_plan_full() -> JobOffer {
    let (_, mut offer) = offers().remove(0);
    if let Work::Plan(work) = &mut offer.work {
        work.think = atelier_proto::job::Think::Full;
    }
    offer
}

/// A report of such a plan, with the thought and the words that the plan comes from.
pub fn report_thought() -> Report {
    let (_, mut report) = reports().remove(0);
    if let Outcome::Planned { thought, .. } = &mut report.outcome {
        thought.reasoning = "A cat, by itself.".into();
        thought.evidence = vec![Cited {
            what: "elements.cat".into(),
            words: "cat".into(),
            at: 2,
        }];
    }
    report
}

/// A drawing that may be one that was made before.
pub fn offer_render_kept() -> JobOffer {
    let (_, mut offer) = offers().remove(1);
    if let Work::Render(work) = &mut offer.work {
        work.keep_for = Some(TenantId::at(1_700_000_000_005, [5; 10]));
    }
    offer
}

/// A report that tells how its picture was made.
pub fn report_made() -> Report {
    let (_, report) = reports().remove(1);
    let made = Made {
        worker: "host-1:4711".into(),
        device: "cuda:0".into(),
        version: "0.1.0".into(),
        weights: Some(Sha256([8; 32])),
        load_ms: None,
        spent: Spent {
            fetch_ms: 3,
            queue_ms: 250,
            compute_ms: 1_500,
            store_ms: 12,
        },
        cached: true,
    };
    Report {
        made: Some(Box::new(made)),
        ..report
    }
}

/// A report that tells what was drawn from what.
pub fn report_sources() -> Report {
    let (_, report) = reports().remove(1);
    let (_, offer) = offers().remove(1);
    Report {
        sources: offer.work.sources(),
        ..report
    }
}

/// A report that tells how long its models took to load.
pub fn report_loaded() -> Report {
    let mut report = report_made();
    if let Some(made) = &mut report.made {
        made.load_ms = Some(4_200);
    }
    report
}

pub fn fix() -> Fix {
    Fix {
        kind: FixKind::Add,
        element: Some("cat".into()),
        noun: "cat".into(),
        bbox: BBox([0.25, 0.25, 0.75, 0.75]),
        instruction: "an orange cat, in a spacesuit".into(),
        checks: vec!["k1".into()],
    }
}

/// Samples by the names of their files.
type Named<T> = Vec<(&'static str, T)>;

/// What a look that found something wrong leads to.
pub fn remedies() -> (Named<JobOffer>, Named<Report>) {
    let mut offers = offers();
    if let Work::Plan(work) = &mut offers[0].1.work {
        work.findings = vec!["cat was not found (found: nothing of the kind)".into()];
    }
    if let Work::Render(work) = &mut offers[1].1.work {
        work.stage = "repair-2-1".into();
        work.fix = Some(fix());
    }
    offers.truncate(2);
    offers[0].0 = "offer_plan_again";
    offers[1].0 = "offer_repair";
    let mut reports = reports();
    if let Outcome::Rendered { kept, .. } = &mut reports[1].1.outcome {
        *kept = Some(Kept {
            bbox: Some(fix().bbox),
            pixels: 12_288,
            difference: 0,
            inputs: vec![Sha256([2; 32])],
            output: Sha256([4; 32]),
        });
    }
    if let Outcome::Reviewed { review, score, .. } = &mut reports[2].1.outcome {
        let review = Arc::make_mut(review);
        review.verdicts[0].answer = Answer::Fail;
        review.seen[0].element = Some("radio".into());
        review.fixes = vec![fix()];
        review.findings = vec!["cat was not found (found: 1 x cat)".into()];
        review.contradictory = vec!["k1".into()];
        *score = review.score();
    }
    reports[1].0 = "report_mended";
    reports[2].0 = "report_found";
    let reports = reports.drain(1..3).collect();
    (offers, reports)
}

pub fn quarantine() -> Quarantine {
    Quarantine {
        kind: JobKind::Render,
        for_ms: 30_000,
    }
}

pub fn cancel() -> Cancel {
    Cancel { request: request() }
}
