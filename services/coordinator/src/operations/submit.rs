//! Accepting a request: check it, store its pictures and direct plan, then make it durable together with whoever else waits.

use std::collections::HashSet;

use atelier_domain::{Graph, Limits, MAX_CANDIDATES, NewRequest, Request};
use atelier_platform::{ArtifactError, artifacts};
use atelier_proto::{
    MediaType, Sha256, TenantId, TraceContext,
    http::{Cost, MAX_PROMPT_BYTES, MAX_REFERENCES, RequestView, SubmitRequest, UploadedReference},
    job::{MAX_THINK_TOKENS, NamedReference, Size, Think},
    plan::{Plan, sent_picture},
};
use futures::future::try_join_all;
use tokio::sync::oneshot;

use super::{
    direct_plan,
    look::{look, with_waiting},
    pictures::{PictureError, to_png},
    spans, webhooks,
};
use crate::{
    farm::Farm,
    store::{Accepted, StoreError, Submission, job_view, rfc3339},
};

/// Rounds when the request names none.
pub(super) const DEFAULT_ROUNDS: u32 = 2;
/// Most denoise steps.
const MAX_STEPS: u32 = 200;
/// Shortest and longest side of a picture, in pixels.
const SIDES: std::ops::RangeInclusive<u32> = 64..=2_048;
/// Sides are multiples of this: the renderers' patches.
const SIDE_STEP: u32 = 16;
/// Shortest and longest limit of time and cost, in seconds.
const LIMITS_S: std::ops::RangeInclusive<f64> = 0.001..=1_000_000.0;
/// Longest name of a reference, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// A submit that waits for its commit.
#[derive(Debug)]
pub struct Waiting {
    /// What to write.
    pub submission: Submission,
    /// Who waits; gets nothing when the commit failed.
    pub answer: oneshot::Sender<Answer>,
}

/// What became of a submit.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// What became of it.
    pub accepted: Accepted,
    /// When a new request was created, in milliseconds since 1970.
    pub created_ms: i64,
}

/// A submit that was accepted, now or before.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// The request as it stands; of a new one as it began.
    pub view: RequestView,
    /// Whether it is new.
    pub new: bool,
    /// Its span.
    pub trace: TraceContext,
}

/// Why a request is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// A field breaks a rule.
    #[error("{field}: {message}")]
    Invalid {
        /// Which one, for example `references[0].data`.
        field: String,
        /// What is wrong, for people.
        message: String,
    },
    /// The idempotency key stands for another body.
    #[error("this idempotency key was used with another body")]
    KeyTaken,
    /// The tenant has as many active requests as it may have.
    #[error("{limit} requests of this tenant are active already")]
    QueueFull {
        /// How many it may have.
        limit: u64,
        /// Seconds until there is likely to be room, 1..=60.
        retry_after_s: u64,
    },
    /// The object store does not take its files.
    #[error(transparent)]
    Artifacts(#[from] ArtifactError),
    /// The database does not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The commit failed; whether it is durable is not known.
    #[error("the database did not confirm the request")]
    NotConfirmed,
}

/// Accepts `submitted`; returns the request once it is durable.
pub async fn submit(
    farm: &Farm,
    tenant: TenantId,
    submitted: SubmitRequest,
    body_sha256: Sha256,
    idempotency_key: Option<String>,
    brought: Option<TraceContext>,
) -> Result<Submitted, SubmitError> {
    check(&submitted)?;
    let limits = limits(&submitted);
    let webhook = submitted.webhook;
    let webhook = webhook.map(|webhook| webhooks::check(webhook, farm.webhook_terms));
    let webhook = webhook.transpose()?;
    let given = submitted.plan.as_deref().map(given).transpose()?;
    let (given, think, json) = match given {
        Some((graph, json)) => (Some(graph), Think::Off, Some(json)),
        None => (None, submitted.think, None),
    };
    let direct_plan = match (json, think) {
        (Some(json), _) => direct_plan::put_given(farm, json).await?,
        (None, Think::Off) => direct_plan::put(farm, &submitted.prompt).await?,
        // Stored when it is needed after all.
        (None, Think::Fast | Think::Full) => direct_plan::describe(&submitted.prompt),
    };
    let pictures = store_pictures(farm, submitted.references).await?;
    let submission = Submission {
        tenant,
        start: NewRequest {
            id: farm.ids.request(),
            seed: submitted.seed.unwrap_or_else(|| farm.ids.seed()),
            think,
            max_rounds: submitted.max_rounds.unwrap_or(DEFAULT_ROUNDS),
            candidates: submitted.candidates.unwrap_or(1),
            limits,
            direct_plan,
            given,
            plan_only: submitted.plan_only,
        },
        idempotency_key,
        body_sha256,
        brought,
        model: farm.model.to_string(),
        prompt: submitted.prompt,
        priority: submitted.priority,
        steps: submitted.steps,
        size: submitted.size,
        think_tokens: submitted.think_tokens,
        use_cache: submitted.cache.unwrap_or(true),
        pictures,
        webhook,
    };
    enqueue(farm, submission).await
}

/// Makes a submission durable together with whoever else waits.
pub(super) async fn enqueue(farm: &Farm, submission: Submission) -> Result<Submitted, SubmitError> {
    let tenant = submission.tenant;
    let brought = submission.brought;
    let tells = submission.webhook.is_some();
    let begun = begun(&submission);
    let (answer, accepted) = oneshot::channel();
    let waiting = Waiting { submission, answer };
    farm.intake
        .send(waiting)
        .await
        .map_err(|_| SubmitError::NotConfirmed)?;
    let Answer {
        accepted,
        created_ms,
    } = accepted.await.map_err(|_| SubmitError::NotConfirmed)?;
    match accepted {
        // What was just written needs no reading.
        Accepted::New(_) => {
            let created_at = rfc3339(created_ms);
            let view = with_waiting(
                farm,
                RequestView {
                    created_at,
                    ..begun
                },
            );
            if tells {
                farm.webhooks.asked();
            }
            let trace = TraceContext::of_request(view.id, brought);
            if brought.is_some() {
                // A trace of ours needs no line: its id is that of the request.
                tracing::info!(request = %view.id, trace = %trace.trace_id(), "accepted in the caller's trace");
            }
            spans::accepted(farm, trace, brought);
            Ok(Submitted {
                view,
                new: true,
                trace,
            })
        }
        Accepted::Known(id) => {
            let known = look(farm, tenant, id).await?;
            let view = known.ok_or(SubmitError::NotConfirmed)?;
            let trace = farm.store.trace_context(id).await?;
            Ok(Submitted {
                view,
                new: false,
                trace,
            })
        }
        Accepted::KeyTaken => Err(SubmitError::KeyTaken),
        Accepted::QueueFull { limit } => Err(SubmitError::QueueFull {
            limit,
            retry_after_s: farm.end_rates.next_end_s(tenant),
        }),
    }
}

/// A request as it is when it begins, but for the time and what it waits for.
fn begun(submission: &Submission) -> RequestView {
    // Neither shows in the view: when it begins, and the ids of its jobs that depend on it.
    let request = Request::start(submission.start.clone(), 0);
    RequestView {
        id: request.id,
        prompt: submission.prompt.clone(),
        state: request.state.kind(),
        reason: None,
        seed: request.seed,
        round: request.round,
        image: None,
        score: None,
        jobs: request.jobs.iter().map(job_view).collect(),
        waiting_for: Vec::new(),
        created_at: String::new(),
        finished_at: None,
        outcome: None,
        decisions: Vec::new(),
        cost: Cost::default(),
    }
}

/// Decodes and stores the user's pictures.
pub(super) async fn store_pictures(
    farm: &Farm,
    references: Vec<UploadedReference>,
) -> Result<Vec<NamedReference>, SubmitError> {
    let stored = references
        .into_iter()
        .enumerate()
        .map(|(index, reference)| async move {
            let decode = move || to_png(&reference.data);
            let (png, ()) = farm
                .decoding
                .run((), decode)
                .await
                .map_err(|_| SubmitError::NotConfirmed)?;
            let png = png.map_err(|error: PictureError| {
                invalid(format!("references[{index}].data"), error.to_string())
            })?;
            let picture = farm.artifacts.put(png, MediaType::Png).await?;
            Ok::<_, SubmitError>(NamedReference {
                name: reference.name,
                picture,
            })
        });
    try_join_all(stored).await
}

fn invalid(field: impl Into<String>, message: impl Into<String>) -> SubmitError {
    SubmitError::Invalid {
        field: field.into(),
        message: message.into(),
    }
}

/// Every rule that needs no I/O.
pub(super) fn check(submitted: &SubmitRequest) -> Result<(), SubmitError> {
    if submitted.prompt.trim().is_empty() {
        return Err(invalid("prompt", "say what to draw"));
    }
    if submitted.prompt.len() > MAX_PROMPT_BYTES {
        let message = format!(
            "has {} bytes, at most {MAX_PROMPT_BYTES} are allowed",
            submitted.prompt.len()
        );
        return Err(invalid("prompt", message));
    }
    if submitted.prompt.contains('\0') {
        return Err(invalid("prompt", "holds a NUL character"));
    }
    if submitted
        .steps
        .is_some_and(|steps| !(1..=MAX_STEPS).contains(&steps))
    {
        return Err(invalid("steps", format!("must be within 1..={MAX_STEPS}")));
    }
    if submitted
        .max_rounds
        .is_some_and(|rounds| !(1..=4).contains(&rounds))
    {
        return Err(invalid("max_rounds", "must be within 1..=4"));
    }
    check_limits(submitted)?;
    if let Some(size) = submitted.size {
        check_size(size)?;
    }
    check_names(&submitted.references)?;
    check_plan(submitted)
}

/// Whether pictures of this size are drawn.
pub fn check_size(size: Size) -> Result<(), SubmitError> {
    for (field, side) in [("size.width", size.width), ("size.height", size.height)] {
        if !SIDES.contains(&side) || side % SIDE_STEP != 0 {
            let message = format!(
                "must be a multiple of {SIDE_STEP} within {}..={}",
                SIDES.start(),
                SIDES.end()
            );
            return Err(invalid(field, message));
        }
    }
    Ok(())
}

/// A plan that was given names only pictures that came with it; one that is asked for is planned.
fn check_plan(submitted: &SubmitRequest) -> Result<(), SubmitError> {
    if submitted.plan_only && submitted.plan.is_some() {
        return Err(invalid(
            "plan_only",
            "a plan is given: there is nothing to plan",
        ));
    }
    if submitted.plan_only && submitted.think == Think::Off {
        return Err(invalid(
            "think",
            "must be fast or full: a plan is asked for",
        ));
    }
    let Some(plan) = &submitted.plan else {
        return Ok(());
    };
    if let Err(error) = plan.validate() {
        let field = format!("plan.{}", plan.field_of(&error));
        return Err(invalid(field, error.to_string()));
    }
    let elements = plan
        .elements
        .iter()
        .enumerate()
        .filter_map(|(index, element)| {
            let name = sent_picture(element.reference.as_deref()?)?;
            Some((format!("plan.elements[{index}].reference"), name))
        });
    let stages = plan.stages.iter().enumerate().flat_map(|(index, stage)| {
        let names = stage.op.reads().into_iter().filter_map(sent_picture);
        names.map(move |name| (format!("plan.stages[{index}].input"), name))
    });
    let sent = |name: &str| submitted.references.iter().any(|sent| sent.name == name);
    match elements.chain(stages).find(|(_, name)| !sent(name)) {
        None => Ok(()),
        Some((field, name)) => {
            let message = format!("no picture called {name:?} came with it");
            Err(invalid(field, message))
        }
    }
}

/// The stages of a checked plan, and the plan as it is stored.
pub(super) fn given(plan: &Plan) -> Result<(Graph, Vec<u8>), SubmitError> {
    let wrong = |message: String| invalid("plan", message);
    let graph = Graph::of(plan).map_err(|error| wrong(error.to_string()))?;
    let json = serde_json::to_vec(plan).map_err(|error| wrong(error.to_string()))?;
    if json.len() > direct_plan::MAX_GIVEN_BYTES {
        let most = direct_plan::MAX_GIVEN_BYTES;
        return Err(wrong(format!(
            "has {} bytes, at most {most} are allowed",
            json.len()
        )));
    }
    Ok((graph, json))
}

/// The limits of a body that passed its checks.
pub(super) fn limits(submitted: &SubmitRequest) -> Limits {
    let milliseconds = |seconds: f64| (seconds * 1_000.0).round() as u64;
    Limits {
        time_ms: submitted.max_time_s.map(milliseconds),
        cost_ms: submitted.max_cost_s.map(milliseconds),
    }
}

fn check_limits(submitted: &SubmitRequest) -> Result<(), SubmitError> {
    if let Some(candidates) = submitted.candidates {
        if !(1..=MAX_CANDIDATES).contains(&candidates) {
            let message = format!("must be within 1..={MAX_CANDIDATES}");
            return Err(invalid("candidates", message));
        }
        let planned = submitted.think != Think::Off || submitted.plan.is_some();
        if candidates > 1 && !planned {
            let message = "without thinking nothing is checked, and so there is no best of several: ask for 1, or think";
            return Err(invalid("candidates", message));
        }
    }
    if let Some(tokens) = submitted.think_tokens {
        if !(1..=MAX_THINK_TOKENS).contains(&tokens) {
            let message = format!("must be within 1..={MAX_THINK_TOKENS}");
            return Err(invalid("think_tokens", message));
        }
        if submitted.think != Think::Full || submitted.plan.is_some() {
            let message = "only full thinking takes tokens: ask for think full, or leave it out";
            return Err(invalid("think_tokens", message));
        }
    }
    for (field, limit) in [
        ("max_time_s", submitted.max_time_s),
        ("max_cost_s", submitted.max_cost_s),
    ] {
        if limit.is_some_and(|seconds| !LIMITS_S.contains(&seconds)) {
            let (least, most) = (LIMITS_S.start(), LIMITS_S.end());
            return Err(invalid(field, format!("must be within {least}..={most}")));
        }
    }
    Ok(())
}

fn check_names(references: &[UploadedReference]) -> Result<(), SubmitError> {
    if references.len() > MAX_REFERENCES {
        let message = format!(
            "{} pictures, at most {MAX_REFERENCES} are allowed",
            references.len()
        );
        return Err(invalid("references", message));
    }
    let mut names = HashSet::new();
    for (index, reference) in references.iter().enumerate() {
        let field = || format!("references[{index}].name");
        let name = &reference.name;
        if name.trim().is_empty() || name.len() > MAX_NAME_BYTES || name.contains(char::is_control)
        {
            let message = format!("must be a noun of 1 to {MAX_NAME_BYTES} bytes");
            return Err(invalid(field(), message));
        }
        if !names.insert(name) {
            return Err(invalid(field(), format!("{name:?} is named twice")));
        }
    }
    Ok(())
}

/// Digest of a body as it came.
pub fn body_sha256(body: &[u8]) -> Sha256 {
    artifacts::digest(body)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(change: impl FnOnce(&mut SubmitRequest)) -> SubmitRequest {
        let mut request: SubmitRequest = serde_json::from_str(r#"{"prompt": "a cat"}"#).unwrap();
        change(&mut request);
        request
    }

    fn field_of(request: &SubmitRequest) -> Option<String> {
        match check(request) {
            Ok(()) => None,
            Err(SubmitError::Invalid { field, .. }) => Some(field),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn names_the_field_that_breaks_a_rule() {
        let reference = |name: &str| UploadedReference {
            name: name.into(),
            data: String::new(),
        };
        assert_eq!(field_of(&request(|_| {})), None);
        let thought = |think, tokens| {
            request(|r| {
                r.think = think;
                r.think_tokens = Some(tokens);
            })
        };
        assert_eq!(field_of(&thought(Think::Full, 4_096)), None);
        let cases: [(&str, SubmitRequest); 17] = [
            ("think_tokens", thought(Think::Full, 0)),
            ("think_tokens", thought(Think::Full, 4_097)),
            ("think_tokens", thought(Think::Fast, 64)),
            ("prompt", request(|r| r.prompt = " \n".into())),
            ("prompt", request(|r| r.prompt = "a\0b".into())),
            (
                "prompt",
                request(|r| r.prompt = "x".repeat(MAX_PROMPT_BYTES + 1)),
            ),
            ("steps", request(|r| r.steps = Some(0))),
            ("max_rounds", request(|r| r.max_rounds = Some(5))),
            ("candidates", request(|r| r.candidates = Some(0))),
            ("candidates", request(|r| r.candidates = Some(5))),
            (
                "candidates",
                request(|r| {
                    r.candidates = Some(2);
                    r.think = Think::Off;
                }),
            ),
            ("max_time_s", request(|r| r.max_time_s = Some(0.0))),
            ("max_cost_s", request(|r| r.max_cost_s = Some(f64::NAN))),
            (
                "size.width",
                request(|r| {
                    r.size = Some(Size {
                        width: 65,
                        height: 64,
                    })
                }),
            ),
            (
                "size.height",
                request(|r| {
                    r.size = Some(Size {
                        width: 64,
                        height: 4_096,
                    })
                }),
            ),
            (
                "references",
                request(|r| r.references = vec![reference("cat"); 9]),
            ),
            (
                "references[1].name",
                request(|r| r.references = vec![reference("cat"); 2]),
            ),
        ];
        for (field, request) in cases {
            assert_eq!(field_of(&request).as_deref(), Some(field));
        }
    }

    proptest! {
        #[test]
        fn whatever_passes_fits_the_table(prompt in ".{0,40}", steps in any::<Option<u32>>(), rounds in any::<Option<u32>>(), width in any::<u32>()) {
            let request = request(|r| {
                r.prompt = prompt;
                r.steps = steps;
                r.max_rounds = rounds;
                r.size = Some(Size { width, height: 64 });
            });
            if check(&request).is_ok() {
                prop_assert!(!request.prompt.is_empty() && request.prompt.len() <= 4_000);
                prop_assert!(request.max_rounds.is_none_or(|rounds| (1..=4).contains(&rounds)));
                prop_assert!(width <= 2_048);
            }
        }
    }
}
