//! Looking at a request: what the database says, and what it waits for as far as workers were heard.

use atelier_proto::{
    RequestId, TenantId,
    http::{JobView, RequestView},
    job::JobKind,
};

use crate::{farm::Farm, store::StoreError};

/// A request of a tenant as it stands; none when the tenant has no such request.
pub async fn look(
    farm: &Farm,
    tenant: TenantId,
    id: RequestId,
) -> Result<Option<RequestView>, StoreError> {
    let view = farm.store.view(tenant, id).await?;
    Ok(view.map(|view| with_waiting(farm, view)))
}

/// The same view with the kinds of workers that it waits for.
pub(super) fn with_waiting(farm: &Farm, mut view: RequestView) -> RequestView {
    view.waiting_for = needed(&view.jobs);
    view.waiting_for
        .retain(|kind| farm.workers.taking(*kind) == 0);
    view
}

/// Kinds of the jobs that are to be done, those that a plan will ask for included.
fn needed(jobs: &[JobView]) -> Vec<JobKind> {
    let open = |kind| {
        let mut of_kind = jobs.iter().filter(|job| job.kind == kind);
        of_kind.any(|job| ["waiting", "ready", "dispatched"].contains(&job.state.as_str()))
    };
    let planned = !open(JobKind::Plan);
    JobKind::ALL
        .into_iter()
        .filter(|kind| open(*kind) || !planned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(kind: JobKind, state: &str) -> JobView {
        JobView {
            kind,
            stage: None,
            round: 1,
            candidate: 1,
            state: state.into(),
            attempt: 1,
            reason: None,
        }
    }

    #[test]
    fn a_plan_needs_everybody_and_what_is_over_nobody() {
        assert_eq!(needed(&[job(JobKind::Plan, "ready")]), JobKind::ALL);
        let drawing = [
            job(JobKind::Plan, "done"),
            job(JobKind::Render, "dispatched"),
            job(JobKind::Critique, "waiting"),
        ];
        assert_eq!(needed(&drawing), [JobKind::Render, JobKind::Critique]);
        assert_eq!(needed(&[job(JobKind::Render, "failed")]), []);
    }
}
