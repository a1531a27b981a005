//! What all tasks of the worker share.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use atelier_platform::{Artifacts, Bus, Lifecycle};
use atelier_proto::{WorkerId, job::JobKind};
use tokio_util::sync::CancellationToken;

use crate::{
    device::{About, Device},
    hands::Hands,
    metrics::WorkerMetrics,
};

/// What all tasks of the worker share.
#[derive(Debug)]
pub struct Shared {
    /// Id of this worker.
    pub worker: WorkerId,
    /// Its name for people.
    pub name: String,
    /// Kinds of jobs that it takes.
    pub roles: Vec<JobKind>,
    /// What the engine says of itself.
    pub about: About,
    /// The farm's bus.
    pub bus: Bus,
    /// The farm's store.
    pub artifacts: Artifacts,
    /// The way to the engine.
    pub device: Device,
    /// Jobs in hands.
    pub hands: Arc<Hands>,
    /// What is counted.
    pub metrics: WorkerMetrics,
    /// Start and end of the process.
    pub life: Lifecycle,
    /// Cancelled when the worker drains and nothing is in hands any more.
    pub empty: CancellationToken,
    broken: AtomicBool,
}

impl Shared {
    /// Puts it together.
    #[expect(clippy::too_many_arguments, reason = "one caller, every field once")]
    pub fn new(
        worker: WorkerId,
        name: String,
        roles: Vec<JobKind>,
        (device, about): (Device, About),
        bus: Bus,
        artifacts: Artifacts,
        metrics: WorkerMetrics,
        life: Lifecycle,
    ) -> Self {
        Self {
            worker,
            name,
            roles,
            about,
            bus,
            artifacts,
            device,
            hands: Arc::default(),
            metrics,
            life,
            empty: CancellationToken::new(),
            broken: AtomicBool::new(false),
        }
    }

    /// The engine is broken: report what there is, then end so that a supervisor starts anew.
    pub fn engine_broke(&self) {
        self.broken.store(true, Ordering::SeqCst);
        self.life.fail();
    }

    /// Why the worker is not healthy, if it is not.
    pub fn health(&self) -> Result<(), String> {
        if self.broken.load(Ordering::SeqCst) {
            Err("the engine panicked".into())
        } else if !self.bus.is_connected() {
            Err("NATS is away".into())
        } else {
            Ok(())
        }
    }
}
