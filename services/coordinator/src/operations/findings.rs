//! From a worker's report to what the state machine and the trace make of it. Everything in it is bounded and fit for the database here.

use std::{borrow::Cow, sync::Arc};

use atelier_domain::{Graph, Outcome};
use atelier_proto::{
    ArtifactRef, MediaType,
    http::MAX_PROMPT_BYTES,
    made::Made,
    plan::MAX_CHECKS,
    report::{Cited, Kept, Outcome as Reported, Report, Thought, UsedReference},
    review::{Findings, Fix, MAX_FINDING_BYTES, MAX_FINDINGS, MAX_FIX_BYTES, MAX_FIXES, Review},
};

use crate::store::{Detail, Drawn, Finding, Written};

/// Longest text of a thought that is kept, in bytes.
const MAX_THOUGHT_BYTES: usize = 16_384;
/// Longest reason or remark that is kept, in bytes.
const MAX_REASON_BYTES: usize = 1_000;
/// Longest name of a worker, device or version that is kept, in bytes.
const MAX_WORD_BYTES: usize = 100;
/// Longest id of a check that is kept, in bytes.
const MAX_ID_BYTES: usize = 64;
/// Most remarks of a thought that are kept.
const MAX_NOTES: usize = 32;
/// Most references of a render that are kept.
const MAX_USED: usize = 32;
/// Most citations of a thought that are kept, and the longest of their texts, in bytes.
const MAX_CITED: usize = 128;
const MAX_CITED_BYTES: usize = 200;

/// Why a report is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadReport {
    /// An artifact is of the wrong type, empty or too large.
    #[error("an artifact is of the wrong type, empty or too large")]
    Artifact,
    /// The counts are not those of the review.
    #[error("the counts are not those of the review")]
    Score,
}

/// Takes a report apart.
pub fn read(report: &Report) -> Result<(Outcome, Finding), BadReport> {
    let mut written = None;
    let (outcome, detail) = match &report.outcome {
        Reported::Planned {
            plan,
            artifact,
            thought,
        } => {
            let artifact = fits(artifact, MediaType::Json)?;
            let detail = Detail {
                thought: Some(bounded(thought)),
                batch: together(report.batch),
                ..Detail::default()
            };
            let outcome = match Graph::of(plan) {
                Ok(graph) => {
                    written = Some(Written::Plan(plan.clone()));
                    Outcome::Planned { artifact, graph }
                }
                // Another try may make a better one.
                Err(error) => Outcome::Failed {
                    reason: text(&error.to_string(), MAX_REASON_BYTES),
                    retry: true,
                },
            };
            (outcome, Some(detail))
        }
        Reported::Rendered {
            image,
            size,
            steps,
            references,
            kept,
        } => {
            let image = fits(image, MediaType::Png)?;
            let used = references.iter().take(MAX_USED);
            let references = used.map(|used| UsedReference {
                element: text(&used.element, MAX_REASON_BYTES),
                reference: text(&used.reference, MAX_REASON_BYTES),
                sha256: used.sha256,
            });
            let mut kept = kept.clone();
            if let Some(kept) = &mut kept {
                kept.inputs.truncate(MAX_USED);
            }
            // Whoever changed what had to stay has not drawn what was asked for.
            if let Some(reason) = kept.as_ref().and_then(changed) {
                let outcome = Outcome::Failed {
                    reason,
                    retry: true,
                };
                return Ok((outcome, finding(report, None, None)));
            }
            let drawn = Drawn {
                steps: *steps,
                size: *size,
                references: references.collect(),
                batch: report.batch,
                kept,
            };
            let detail = Detail {
                drawn: Some(drawn),
                ..Detail::default()
            };
            (Outcome::Rendered { image }, Some(detail))
        }
        Reported::Reviewed {
            review,
            artifact,
            score,
        } => {
            let artifact = fits(artifact, MediaType::Json)?;
            if review.score() != *score {
                return Err(BadReport::Score);
            }
            written = Some(Written::Review(review.clone()));
            let outcome = Outcome::Reviewed {
                artifact,
                score: *score,
                findings: found(review),
            };
            let detail = Detail {
                batch: together(report.batch),
                ..Detail::default()
            };
            (outcome, Some(detail))
        }
        Reported::Failed { reason, retry } => {
            let reason = text(reason, MAX_REASON_BYTES);
            if report.outage {
                (Outcome::Outage { reason }, None)
            } else {
                let retry = *retry;
                (Outcome::Failed { reason, retry }, None)
            }
        }
        Reported::Returned => (Outcome::Returned, None),
    };
    let detail = detail.and_then(|detail| told(detail, report.made.as_deref()));
    Ok((outcome, finding(report, detail, written)))
}

fn together(batch: u32) -> Option<u32> {
    (batch > 1).then_some(batch)
}

fn finding(report: &Report, detail: Option<Detail>, written: Option<Written>) -> Finding {
    Finding {
        worker: report.worker,
        device_ms: report.device_ms.min(i64::MAX.cast_unsigned()),
        detail: detail.map(Arc::new),
        written,
    }
}

fn changed(kept: &Kept) -> Option<String> {
    let Kept {
        difference, pixels, ..
    } = kept;
    (*difference > 0)
        .then(|| format!("one of {pixels} pixels that had to stay differs by {difference}"))
}

/// What is kept of a review. Fixes that break a rule say nothing about the others, so that none of them is used then.
fn found(review: &Review) -> Findings {
    let mut kept = review.kept();
    let texts = |texts: &mut Vec<String>, most: usize, bytes: usize| {
        texts.truncate(most);
        for one in texts {
            *one = text(one, bytes);
        }
    };
    for ids in [&mut kept.failed, &mut kept.contradictory] {
        texts(ids, MAX_CHECKS, MAX_ID_BYTES);
    }
    texts(&mut kept.sentences, MAX_FINDINGS, MAX_FINDING_BYTES);
    let known = |id: &String| kept.failed.contains(id);
    let is_sound = |fix: &Fix| {
        let texts = [
            Some(&fix.noun),
            Some(&fix.instruction),
            fix.element.as_ref(),
        ];
        let plain = |text: &String| text.len() <= MAX_FIX_BYTES && !text.contains('\0');
        fix.bbox.is_inside()
            && texts.into_iter().flatten().all(plain)
            && !fix.checks.is_empty()
            && fix.checks.len() <= MAX_CHECKS
            && fix.checks.iter().all(known)
    };
    if kept.fixes.len() > MAX_FIXES || !kept.fixes.iter().all(is_sound) {
        kept.fixes.clear();
    }
    kept
}

/// As it is stored; nothing where there is nothing to tell.
fn told(detail: Detail, made: Option<&Made>) -> Option<Detail> {
    let made = made.map(|made| Made {
        worker: text(&made.worker, MAX_WORD_BYTES),
        device: text(&made.device, MAX_WORD_BYTES),
        version: text(&made.version, MAX_WORD_BYTES),
        ..made.clone()
    });
    let detail = Detail { made, ..detail };
    (detail != Detail::default()).then_some(detail)
}

fn fits(artifact: &ArtifactRef, media_type: MediaType) -> Result<ArtifactRef, BadReport> {
    let sized = (1..=atelier_platform::artifacts::MAX_ARTIFACT_BYTES).contains(&artifact.bytes);
    if sized && artifact.media_type == media_type {
        Ok(*artifact)
    } else {
        Err(BadReport::Artifact)
    }
}

fn bounded(thought: &Thought) -> Thought {
    let notes = thought.notes.iter().take(MAX_NOTES);
    let evidence = thought.evidence.iter().take(MAX_CITED);
    Thought {
        text: text(&thought.text, MAX_THOUGHT_BYTES),
        tokens_sampled: thought.tokens_sampled,
        tokens_forced: thought.tokens_forced,
        notes: notes.map(|note| text(note, MAX_REASON_BYTES)).collect(),
        reasoning: text(&thought.reasoning, MAX_THOUGHT_BYTES),
        evidence: evidence
            .map(|cited| Cited {
                what: text(&cited.what, MAX_CITED_BYTES),
                words: text(&cited.words, MAX_CITED_BYTES),
                at: cited.at,
            })
            .collect(),
        coverage: thought
            .coverage
            .filter(|told| told.uncited <= told.words && told.words as usize <= MAX_PROMPT_BYTES),
    }
}

/// At most `limit` bytes, without the one character that PostgreSQL's texts cannot hold.
fn text(text: &str, limit: usize) -> String {
    let clean = match text.contains('\0') {
        true => Cow::Owned(text.replace('\0', "")),
        false => Cow::Borrowed(text),
    };
    clean[..clean.floor_char_boundary(limit)].to_owned()
}

#[cfg(test)]
mod tests {
    use atelier_proto::{
        JobId, RequestId, Sha256, WorkerId,
        job::Size,
        plan::{BBox, Plan},
        review::{Answer, FixKind, Score, Verdict},
    };

    use super::*;

    fn report(outcome: Reported) -> Report {
        Report {
            job: JobId::at(1, [1; 10]),
            attempt: 1,
            request: RequestId::at(1, [2; 10]),
            worker: WorkerId::at(1, [3; 10]),
            sources: None,
            device_ms: u64::MAX,
            batch: 1,
            outage: false,
            made: None,
            outcome,
        }
    }

    fn artifact(media_type: MediaType, bytes: u64) -> ArtifactRef {
        ArtifactRef {
            sha256: Sha256([7; 32]),
            bytes,
            media_type,
        }
    }

    #[test]
    fn an_invalid_plan_is_a_failure_that_may_be_tried_again() {
        let mut plan = Plan::direct("a cat");
        plan.stages.clear();
        let planned = Reported::Planned {
            plan: Arc::new(plan),
            artifact: artifact(MediaType::Json, 9),
            thought: Thought::default(),
        };
        let (outcome, _) = read(&report(planned)).unwrap();
        assert!(
            matches!(outcome, Outcome::Failed { retry: true, .. }),
            "{outcome:?}"
        );
    }

    #[test]
    fn texts_are_bounded_and_free_of_nul() {
        let reason = format!("\0{}", "ä".repeat(2_000));
        let (outcome, finding) = read(&report(Reported::Failed {
            reason,
            retry: false,
        }))
        .unwrap();
        let Outcome::Failed { reason, .. } = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(reason, "ä".repeat(500));
        assert_eq!(finding.device_ms, i64::MAX.cast_unsigned());
    }

    #[test]
    fn plans_that_were_made_at_once_say_so() {
        let planned = |batch| {
            let outcome = Reported::Planned {
                plan: Arc::new(Plan::direct("a cat")),
                artifact: artifact(MediaType::Json, 9),
                thought: Thought::default(),
            };
            let (_, finding) = read(&Report {
                batch,
                ..report(outcome)
            })
            .unwrap();
            finding.detail.unwrap().batch
        };
        assert_eq!((planned(1), planned(4)), (None, Some(4)));
    }

    #[test]
    fn a_review_tells_who_made_it_and_otherwise_nothing() {
        let reviewed = || Reported::Reviewed {
            review: Arc::default(),
            artifact: artifact(MediaType::Json, 9),
            score: Score::default(),
        };
        let (_, finding) = read(&report(reviewed())).unwrap();
        assert_eq!(finding.detail, None);
        let made = Made {
            worker: "w".repeat(1_000),
            device: "cpu\0".into(),
            version: "0.1.0".into(),
            weights: None,
            load_ms: None,
            spent: Default::default(),
            cached: false,
        };
        let told = Report {
            made: Some(Box::new(made)),
            ..report(reviewed())
        };
        let (_, finding) = read(&told).unwrap();
        let made = finding.detail.unwrap().made.clone().unwrap();
        assert_eq!((made.worker.len(), made.device.as_str()), (100, "cpu"));
    }

    #[test]
    fn what_is_found_is_kept_within_bounds_and_unsound_fixes_are_not() {
        let verdict = |check: &str, answer| Verdict {
            check: check.into(),
            answer,
            confidence: 0.9,
            found: "nothing".into(),
            boxes: Vec::new(),
        };
        let fix = |change: fn(&mut Fix)| {
            let mut fix = Fix {
                kind: FixKind::Add,
                element: Some("cat".into()),
                noun: "cat".into(),
                bbox: BBox([0.0, 0.0, 0.5, 0.5]),
                instruction: "a cat".into(),
                checks: vec!["k1".into()],
            };
            change(&mut fix);
            fix
        };
        let review = |fixes| Review {
            verdicts: vec![verdict("k1", Answer::Fail), verdict("k2", Answer::Pass)],
            fixes,
            findings: vec!["x\0".repeat(500); 99],
            ..Review::default()
        };
        let kept = found(&review(vec![fix(|_| {})]));
        assert_eq!((kept.failed, kept.fixes.len()), (vec!["k1".to_owned()], 1));
        assert_eq!((kept.sentences.len(), kept.sentences[0].len()), (16, 200));
        let unsound: [fn(&mut Fix); 5] = [
            |fix| fix.bbox = BBox([0.5, 0.0, 0.5, 0.5]),
            |fix| fix.instruction = "x".repeat(401),
            |fix| fix.noun = "c\0at".into(),
            |fix| fix.checks = vec!["k2".into()],
            |fix| fix.checks.clear(),
        ];
        for change in unsound {
            let fixes = vec![fix(|_| {}), fix(change)];
            assert_eq!(found(&review(fixes)).fixes, []);
        }
        assert_eq!(found(&review(vec![fix(|_| {}); 17])).fixes, []);
        let mut passed = review(vec![fix(|_| {})]);
        passed.verdicts.remove(0);
        assert_eq!(found(&passed), Findings::default());
    }

    #[test]
    fn a_repair_that_changed_what_had_to_stay_is_a_failure() {
        let rendered = |difference| Reported::Rendered {
            image: artifact(MediaType::Png, 9),
            size: Size {
                width: 1,
                height: 1,
            },
            steps: 1,
            references: Vec::new(),
            kept: Some(Kept {
                bbox: None,
                pixels: 5,
                difference,
                inputs: Vec::new(),
                output: Sha256([7; 32]),
            }),
        };
        let (outcome, _) = read(&report(rendered(1))).unwrap();
        assert!(
            matches!(outcome, Outcome::Failed { retry: true, .. }),
            "{outcome:?}"
        );
        let (outcome, finding) = read(&report(rendered(0))).unwrap();
        assert!(matches!(outcome, Outcome::Rendered { .. }), "{outcome:?}");
        let drawn = finding.detail.unwrap().drawn.clone();
        assert_eq!(drawn.unwrap().kept.unwrap().pixels, 5);
    }

    #[test]
    fn wrong_artifacts_and_counts_are_refused() {
        let rendered = |image| Reported::Rendered {
            image,
            size: Size {
                width: 1,
                height: 1,
            },
            steps: 1,
            references: Vec::new(),
            kept: None,
        };
        for image in [artifact(MediaType::Json, 9), artifact(MediaType::Png, 0)] {
            assert_eq!(
                read(&report(rendered(image))).unwrap_err(),
                BadReport::Artifact
            );
        }
        let reviewed = Reported::Reviewed {
            review: Arc::new(Review::default()),
            artifact: artifact(MediaType::Json, 9),
            score: Score {
                pass: 1,
                ..Score::default()
            },
        };
        assert_eq!(read(&report(reviewed)).unwrap_err(), BadReport::Score);
    }
}
