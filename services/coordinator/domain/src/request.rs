//! A request and everything that the state machine knows about it.

use atelier_proto::{
    ArtifactRef, JobId, RequestId,
    http::{Cost, RequestState},
    job::{JobKind, Think},
    review::{Decision, Findings, Score},
};

use crate::{Graph, Job, JobState, Millis, Output, Repair, StageNode, job_id, stage_seed};

/// Most rounds that a request may ask for.
pub const MAX_ROUNDS: u32 = 4;
/// Most candidates that a request may ask for.
pub const MAX_CANDIDATES: u32 = 4;

/// One request with its jobs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// Its id.
    pub id: RequestId,
    /// The seed everything derives from.
    pub seed: u64,
    /// Most passes of render and critique, 1..=4.
    pub max_rounds: u32,
    /// Drawings of the first round, 1..=4; plans without checks are drawn once.
    pub candidates: u32,
    /// After what no further round begins.
    pub limits: Limits,
    /// When it was accepted.
    pub created: Millis,
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
    /// What is wrong with it.
    pub findings: Findings,
    /// What was decided after each look, as long as checks failed.
    pub decisions: Vec<Decision>,
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

/// After what nothing more is begun once a picture was looked at, in milliseconds; none is as long as it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Since it was accepted.
    pub time_ms: Option<u64>,
    /// On devices.
    pub cost_ms: Option<u64>,
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
    /// Drawings of the first round; kept within 1..=4.
    pub candidates: u32,
    /// After what no further round begins.
    pub limits: Limits,
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
            candidates: new.candidates.clamp(1, MAX_CANDIDATES),
            limits: new.limits,
            created: now,
            direct_plan: new.direct_plan,
            plan_only: new.plan_only,
            state: State::Active,
            round: 1,
            plan: None,
            best: None,
            findings: Findings::default(),
            decisions: Vec::new(),
            notes: Vec::new(),
            jobs: Vec::new(),
        };
        match (new.given, new.think) {
            (Some(given), _) => request.carry_out(new.direct_plan, &given, now),
            (None, Think::Fast | Think::Full) => {
                request.make_job(&Place::new(JobKind::Plan), true, now);
            }
            (None, Think::Off) => request.carry_out(new.direct_plan, &Graph::direct(), now),
        }
        request
    }

    /// The job called `id`.
    pub fn job(&self, id: JobId) -> Option<&Job> {
        self.jobs.iter().find(|job| job.id == id)
    }

    /// Render jobs of a candidate of `round` in the plan's order.
    pub fn renders(&self, round: u32, candidate: u32) -> impl Iterator<Item = &Job> {
        self.jobs.iter().filter(move |job| {
            job.kind == JobKind::Render && job.round == round && job.candidate == candidate
        })
    }

    /// Critiques of `round`, one of each candidate.
    pub fn critiques(&self, round: u32) -> impl Iterator<Item = &Job> {
        self.jobs
            .iter()
            .filter(move |job| job.kind == JobKind::Critique && job.round == round)
    }

    /// Whether `job` draws the picture that no other stage reads.
    pub fn is_sink(&self, job: &Job) -> bool {
        job.kind == JobKind::Render
            && !self.renders(job.round, job.candidate).any(|other| {
                let node = other.stage.as_ref();
                node.is_some_and(|node| node.inputs.iter().any(|id| id == job.stage_id()))
            })
    }

    /// The picture that stage `id` has drawn beside `job`: in its round, for its candidate.
    pub fn picture_beside(&self, job: &Job, id: &str) -> Option<ArtifactRef> {
        self.renders(job.round, job.candidate)
            .find(|other| other.stage_id() == id)
            .and_then(Job::picture)
    }

    /// The result of a candidate of `round`, when it is drawn.
    pub fn result_of(&self, round: u32, candidate: u32) -> Option<ArtifactRef> {
        self.renders(round, candidate)
            .find(|job| self.is_sink(job))
            .and_then(Job::picture)
    }

    /// The pictures that `job` reads, as far as they are drawn.
    pub fn pictures_read_by(&self, job: &Job) -> Vec<ArtifactRef> {
        match (&job.stage, job.kind) {
            (Some(stage), _) => {
                let base = job.repair.as_ref().and_then(|repair| repair.base);
                let drawn = stage.inputs.iter();
                let drawn = drawn.filter_map(|id| self.picture_beside(job, id));
                base.into_iter().chain(drawn).collect()
            }
            (None, JobKind::Critique) => {
                let result = self.result_of(job.round, job.candidate);
                result.into_iter().collect()
            }
            (None, _) => Vec::new(),
        }
    }

    /// The plan that the pictures of `round` are drawn from: the last one that was made until then, else the given or direct one.
    pub fn plan_of(&self, round: u32) -> ArtifactRef {
        let made = |job: &Job| match job.state {
            JobState::Done(Output::Plan(artifact)) if job.round <= round => Some(artifact),
            _ => None,
        };
        let made = self.jobs.iter().rev().find_map(made);
        made.unwrap_or(self.direct_plan)
    }

    /// What it took of devices so far.
    pub fn cost(&self) -> Cost {
        let mut cost = Cost::default();
        for job in &self.jobs {
            cost.add(job.kind, job.repair.is_some(), job.device_ms);
        }
        cost
    }

    /// Begins the first round of a plan, with all candidates in the request's first.
    pub(crate) fn carry_out(&mut self, artifact: ArtifactRef, graph: &Graph, now: Millis) {
        self.take_plan(artifact, graph);
        let candidates = if self.round == 1 && graph.checks() > 0 {
            self.candidates
        } else {
            1
        };
        for candidate in 1..=candidates {
            self.make_drawing(graph.stages(), candidate, now);
        }
    }

    /// Writes down which plan it is about.
    pub(crate) fn take_plan(&mut self, artifact: ArtifactRef, graph: &Graph) {
        self.plan = Some(PlanInUse {
            artifact,
            checks: graph.checks(),
        });
    }

    /// The stages of the plan in use: those that were drawn last and are not repairs.
    pub(crate) fn stages(&self) -> Vec<StageNode> {
        let drawn = |job: &&Job| job.kind == JobKind::Render && job.repair.is_none();
        let last = self.jobs.iter().rfind(drawn).map_or(1, |job| job.round);
        let renders = self.renders(last, 1);
        renders.filter_map(|job| job.stage.clone()).collect()
    }

    /// One picture of the round, from its stages to its critique.
    pub(crate) fn make_drawing(&mut self, stages: &[StageNode], candidate: u32, now: Millis) {
        for stage in stages {
            let place = Place {
                candidate,
                stage: Some(stage.clone()),
                ..Place::new(JobKind::Render)
            };
            self.make_job(&place, stage.inputs.is_empty(), now);
        }
        if self.plan.is_some_and(|plan| plan.checks > 0) {
            let place = Place {
                candidate,
                ..Place::new(JobKind::Critique)
            };
            self.make_job(&place, false, now);
        }
    }

    pub(crate) fn make_job(&mut self, place: &Place, ready: bool, now: Millis) {
        let (kind, round, candidate) = (place.kind, self.round, place.candidate);
        let stage_id = place.stage.as_ref().map_or("", |stage| stage.id.as_str());
        self.jobs.push(Job {
            id: job_id(self.id, kind, stage_id, round, candidate, now),
            kind,
            round,
            candidate,
            seed: stage_seed(self.seed, kind, stage_id, round, candidate),
            stage: place.stage.clone(),
            repair: place.repair.clone(),
            attempt: 0,
            failures: 0,
            failed_on: Vec::new(),
            losses: 0,
            device_ms: 0,
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
            && self.findings == other.findings
            && self.decisions == other.decisions
            && self.notes == other.notes
    }
}

/// Where a new job of the round belongs.
pub(crate) struct Place {
    pub kind: JobKind,
    pub candidate: u32,
    pub stage: Option<StageNode>,
    pub repair: Option<Repair>,
}

impl Place {
    pub const fn new(kind: JobKind) -> Self {
        Self {
            kind,
            candidate: 1,
            stage: None,
            repair: None,
        }
    }
}
