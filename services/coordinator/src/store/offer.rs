//! From a request in memory to the offer of one of its jobs.

use atelier_domain::{Job, Request};
use atelier_proto::{
    TraceContext,
    job::{CritiqueWork, JobKind, JobOffer, PlanWork, RenderWork, Work},
};

use super::{Claimed, StoreError, request_row::Spec};

/// What is published of a dispatched job.
pub(super) fn offer(
    request: &Request,
    job: &Job,
    spec: &Spec,
    lease_ms: u64,
) -> Result<Claimed, StoreError> {
    let missing = |column: &'static str| StoreError::Row {
        table: "jobs",
        column,
        row: job.id.as_uuid(),
        reason: "is needed to dispatch it".into(),
    };
    let plan = || {
        let plan = request.plan.ok_or_else(|| missing("plan_sha256"))?;
        Ok::<_, StoreError>(plan.artifact)
    };
    let inputs = request.pictures_read_by(job);
    let work = match job.kind {
        JobKind::Plan => Work::Plan(PlanWork {
            prompt: spec.prompt.clone(),
            seed: job.seed,
            references: spec.pictures.clone(),
            findings: if job.round > 1 {
                request.findings.sentences.clone()
            } else {
                Vec::new()
            },
            keep_for: spec.keep_for,
            think: spec.think,
            think_tokens: spec.think_tokens,
        }),
        JobKind::Render => Work::Render(RenderWork {
            plan: plan()?,
            stage: job.stage_id().to_owned(),
            seed: job.seed,
            steps: spec.steps,
            size: spec.size,
            inputs,
            references: spec.pictures.clone(),
            fix: job.repair.as_ref().map(|repair| repair.fix.clone()),
            keep_for: spec.keep_for,
        }),
        JobKind::Critique => Work::Critique(CritiqueWork {
            plan: plan()?,
            image: *inputs.first().ok_or_else(|| missing("input_pictures"))?,
        }),
    };
    Ok(Claimed {
        priority: spec.priority,
        trace: TraceContext::of_request(request.id, spec.brought),
        offer: JobOffer {
            job: job.id,
            attempt: job.attempt,
            request: request.id,
            lease_ms,
            avoid: job.failed_on.clone(),
            alone: !job.failed_on.is_empty(),
            work,
        },
    })
}
