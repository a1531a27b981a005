//! A request and everything that the state machine knows about it.

use atelier_proto::{
    ArtifactRef, JobId, RequestId,
    http::RequestState,
    job::{JobKind, Think},
    review::Score,
};

use crate::{Graph, Job, JobState, Millis, StageNode, job_id, stage_seed};

/// Most rounds that a request may ask for.
pub const MAX_ROUNDS: u32 = 4;

/// One request with its jobs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// Its id.
    pub id: RequestId,
    /// The seed everything derives from.
    pub seed: u64,
    /// Most passes of render and critique, 1..=4.
    pub max_rounds: u32,
    /// What is carried out when planning is off or fails: the plan that the user gave, else the raw prompt as one.
    pub direct_plan: ArtifactRef,
    /// Ends with its plan; nothing is drawn.
    pub plan_only: bool,
    /// Where it stands.
    pub state: State,
    /// The round it is in, from 1.
    pub round: u32,
    /// The plan being carried out; none until there is one.
    pub plan: Option<PlanInUse>,
    /// The result so far.
    pub best: Option<Best>,
    /// What people should know about how it went.
    pub notes: Vec<String>,
    /// Its jobs in the order they were made.
    pub jobs: Vec<Job>,
}

/// Where a request stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Being worked on.
    Active,
    /// Has its picture.
    Succeeded,
    /// Could not be done.
    Failed {
        /// Why, for people.
        reason: String,
    },
    /// Stopped by the user.
    Canceled {
        /// Why, for people.
        reason: String,
    },
}

/// The plan being carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlanInUse {
    /// The plan (JSON).
    pub artifact: ArtifactRef,
    /// Checks that it asks for.
    pub checks: u32,
}

/// The best picture so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Best {
    /// The picture.
    pub image: ArtifactRef,
    /// How it did; none before its critique.
    pub score: Option<Score>,
    /// The round that drew it.
    pub round: u32,
}

/// What a request starts from.
#[derive(Clone, Debug)]
pub struct NewRequest {
    /// Its id.
    pub id: RequestId,
    /// The seed everything derives from.
    pub seed: u64,
    /// Whether a plan is made first.
    pub think: Think,
    /// Most passes of render and critique; kept within 1..=4.
    pub max_rounds: u32,
    /// The plan that the user gave, else the raw prompt as one; stored.
    pub direct_plan: ArtifactRef,
    /// Its stages when the user gave it: it is carried out, however much should be thought.
    pub given: Option<Graph>,
    /// Ends with its plan; nothing is drawn.
    pub plan_only: bool,
}

impl State {
    /// The same without its reason.
    pub const fn kind(&self) -> RequestState {
        match self {
            Self::Active => RequestState::Active,
            Self::Succeeded => RequestState::Succeeded,
            Self::Failed { .. } => RequestState::Failed,
            Self::Canceled { .. } => RequestState::Canceled,
        }
    }

    /// Why it failed or was canceled.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Active | Self::Succeeded => None,
            Self::Failed { reason } | Self::Canceled { reason } => Some(reason),
        }
    }
}

impl Request {
    /// A new request with its first jobs: one that plans, or those of the direct plan.
    pub fn start(new: NewRequest, now: Millis) -> Self {
        let mut request = Self {
            id: new.id,
            seed: new.seed,
            max_rounds: new.max_rounds.clamp(1, MAX_ROUNDS),
            direct_plan: new.direct_plan,
            plan_only: new.plan_only,
            state: State::Active,
            round: 1,
            plan: None,
            best: None,
            notes: Vec::new(),
            jobs: Vec::new(),
        };
        match (new.given, new.think) {
            (Some(given), _) => request.carry_out(new.direct_plan, &given, now),
            (None, Think::Fast | Think::Full) => {
                request.make_job(JobKind::Plan, None, true, now);
            }
            (None, Think::Off) => request.carry_out(new.direct_plan, &Graph::direct(), now),
        }
        request
    }

    /// The job called `id`.
    pub fn job(&self, id: JobId) -> Option<&Job> {
        self.jobs.iter().find(|job| job.id == id)
    }

    /// Render jobs of `round` in the plan's order.
    pub fn renders(&self, round: u32) -> impl Iterator<Item = &Job> {
        self.jobs
            .iter()
            .filter(move |job| job.kind == JobKind::Render && job.round == round)
    }

    /// Whether `job` draws the picture that no other stage reads.
    pub fn is_sink(&self, job: &Job) -> bool {
        job.kind == JobKind::Render
            && !self.renders(job.round).any(|other| {
                let node = other.stage.as_ref();
                node.is_some_and(|node| node.inputs.iter().any(|id| id == job.stage_id()))
            })
    }

    /// The picture of stage `id` in `round`, when it is drawn.
    pub fn picture_of(&self, id: &str, round: u32) -> Option<ArtifactRef> {
        self.renders(round)
            .find(|job| job.stage_id() == id)
            .and_then(Job::picture)
    }

    /// The result of `round`, when it is drawn.
    pub fn result_of(&self, round: u32) -> Option<ArtifactRef> {
        self.renders(round)
            .find(|job| self.is_sink(job))
            .and_then(Job::picture)
    }

    /// Begins the first round of a plan.
    pub(crate) fn carry_out(&mut self, artifact: ArtifactRef, graph: &Graph, now: Millis) {
        self.take_plan(artifact, graph);
        self.make_round(graph.stages(), now);
    }

    /// Writes down which plan it is about.
    pub(crate) fn take_plan(&mut self, artifact: ArtifactRef, graph: &Graph) {
        self.plan = Some(PlanInUse {
            artifact,
            checks: graph.checks(),
        });
    }

    /// Begins the next round: the same stages, new seeds.
    pub(crate) fn next_round(&mut self, now: Millis) {
        let stages: Vec<_> = self
            .renders(1)
            .filter_map(|job| job.stage.clone())
            .collect();
        self.round += 1;
        self.make_round(&stages, now);
    }

    fn make_round(&mut self, stages: &[StageNode], now: Millis) {
        for stage in stages {
            let ready = stage.inputs.is_empty();
            self.make_job(JobKind::Render, Some(stage.clone()), ready, now);
        }
        if self.plan.is_some_and(|plan| plan.checks > 0) {
            self.make_job(JobKind::Critique, None, false, now);
        }
    }

    fn make_job(&mut self, kind: JobKind, stage: Option<StageNode>, ready: bool, now: Millis) {
        let stage_id = stage.as_ref().map_or("", |stage| stage.id.as_str());
        self.jobs.push(Job {
            id: job_id(self.id, kind, stage_id, self.round, now),
            kind,
            round: self.round,
            seed: stage_seed(self.seed, kind, stage_id, self.round),
            stage,
            attempt: 0,
            failures: 0,
            failed_on: Vec::new(),
            losses: 0,
            state: if ready {
                JobState::Ready { not_before: now }
            } else {
                JobState::Waiting
            },
        });
    }

    /// Whether everything but the jobs is equal.
    pub(crate) fn same_head(&self, other: &Self) -> bool {
        self.state == other.state
            && self.round == other.round
            && self.plan == other.plan
            && self.best == other.best
            && self.notes == other.notes
    }
}
