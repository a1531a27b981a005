//! What the state machine needs of a plan: its stages, who reads whom, and how many checks there are.

use atelier_proto::plan::{Plan, PlanError};

/// One stage, as far as its order and not its picture is concerned.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StageNode {
    /// Id in the plan.
    pub id: String,
    /// What it does, in the plan's word.
    pub op: String,
    /// Stages whose pictures it reads, in the plan's order.
    pub inputs: Vec<String>,
}

/// The stages of a valid plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    stages: Vec<StageNode>,
    checks: u32,
}

/// Why there is no graph.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// The plan breaks a rule of its schema.
    #[error("the plan is invalid: {0}")]
    Plan(#[from] PlanError),
}

impl Graph {
    /// Takes the graph out of a plan that passes validation.
    pub fn of(plan: &Plan) -> Result<Self, GraphError> {
        plan.validate()?;
        let stages = plan
            .stages
            .iter()
            .map(|stage| StageNode {
                id: stage.id.clone(),
                op: stage.op.name().to_owned(),
                inputs: stage.op.inputs().into_iter().map(str::to_owned).collect(),
            })
            .collect();
        Ok(Self {
            stages,
            checks: plan.checks.len() as u32,
        })
    }

    /// One stage, no checks: what [`Plan::direct`] says.
    pub fn direct() -> Self {
        Self {
            stages: vec![StageNode {
                id: "out".into(),
                op: "generate".into(),
                inputs: Vec::new(),
            }],
            checks: 0,
        }
    }

    /// The stages in the plan's order; acyclic, with one that no other reads.
    pub fn stages(&self) -> &[StageNode] {
        &self.stages
    }

    /// How many checks the plan asks for.
    pub const fn checks(&self) -> u32 {
        self.checks
    }
}
