//! What all tasks of the worker share.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use atelier_platform::{Artifacts, Bus, Lifecycle, telemetry::Spans};
use atelier_proto::{WorkerId, job::JobKind};
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Caching, Config},
    departures::Departures,
    device::{About, Device},
    hands::Hands,
    inputs::Plans,
    metrics::WorkerMetrics,
    progress::Step,
    quarantine::Kept,
    watchdog,
};

/// What a worker is made of.
#[derive(Debug)]
pub struct Parts {
    /// The engine and what it says of itself.
    pub engine: (Device, About),
    /// How long the engine took to load.
    pub loaded_in: Duration,
    /// The farm's bus.
    pub bus: Bus,
    /// The farm's store.
    pub artifacts: Artifacts,
    /// Where steps go to be shown.
    pub steps: mpsc::Sender<Step>,
    /// What is counted.
    pub metrics: WorkerMetrics,
    /// Traces over OTLP.
    pub spans: Spans,
    /// Start and end of the process.
    pub life: Lifecycle,
}

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
    /// How long the engine took to load.
    pub loaded_in: Duration,
    /// When this was put together.
    pub started: Instant,
    /// The farm's bus.
    pub bus: Bus,
    /// The farm's store.
    pub artifacts: Artifacts,
    /// Plans that were read last.
    pub plans: Plans,
    /// The way to the engine.
    pub device: Device,
    /// Whether pictures say what they were made with.
    pub labels: bool,
    /// What is used again.
    pub caching: Caching,
    /// Where steps go to be shown.
    pub steps: mpsc::Sender<Step>,
    /// A device that makes no step for this long hangs.
    pub step_timeout: Duration,
    /// Jobs in hands.
    pub hands: Arc<Hands>,
    /// Reports that wait to leave together.
    pub departures: Departures,
    /// Jobs began of which nobody has heard.
    pub begun: Notify,
    /// Kinds of jobs that this worker is kept from.
    pub kept: Kept,
    /// What is counted.
    pub metrics: WorkerMetrics,
    /// Traces over OTLP.
    pub spans: Spans,
    /// Start and end of the process.
    pub life: Lifecycle,
    /// Cancelled when the worker drains and nothing is in hands any more.
    pub empty: CancellationToken,
    broken: Mutex<Option<&'static str>>,
    computed: AtomicBool,
}

impl Shared {
    /// Puts it together, under an id that is new at every start.
    pub fn new(config: &Config, parts: Parts) -> Self {
        let (device, about) = parts.engine;
        let hands = Hands::new(about.batch, about.plans);
        Self {
            worker: WorkerId::from_uuid(uuid::Uuid::now_v7()),
            name: config.display_name(),
            roles: config.roles.clone(),
            about,
            loaded_in: parts.loaded_in,
            started: Instant::now(),
            bus: parts.bus,
            artifacts: parts.artifacts,
            plans: Plans::default(),
            device,
            labels: !config.bare_pictures,
            caching: config.cache,
            steps: parts.steps,
            step_timeout: config.step_timeout(),
            hands: Arc::new(hands),
            departures: Departures::default(),
            begun: Notify::new(),
            kept: Kept::default(),
            metrics: parts.metrics,
            spans: parts.spans,
            life: parts.life,
            empty: CancellationToken::new(),
            broken: Mutex::default(),
            computed: AtomicBool::new(false),
        }
    }

    /// The engine panicked: report what there is, then end so that a supervisor starts anew.
    pub fn engine_broke(&self) {
        self.set_broken("the engine panicked");
        self.life.fail();
    }

    /// The device hangs: report what there is, then end so that a supervisor starts anew.
    pub fn device_hung(&self) {
        self.set_broken("the device hangs");
        self.life.fail_with(watchdog::HUNG);
    }

    fn set_broken(&self, why: &'static str) {
        *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    /// The engine has made something.
    pub fn engine_works(&self) {
        self.computed.store(true, Ordering::SeqCst);
    }

    /// Why nobody should count on this worker yet, if so: an engine is trusted once it has made something, not once it is loaded.
    pub fn readiness(&self) -> Result<(), String> {
        self.health()?;
        if !self.bus.is_connected() {
            Err("NATS is away".into())
        } else if self.life.soft().is_cancelled() {
            Err("the worker is stopping".into())
        } else if !self.computed.load(Ordering::SeqCst) {
            Err("the engine has not made anything yet".into())
        } else {
            Ok(())
        }
    }

    /// Why the worker is not healthy, if it is not. It does not ask others: to start it again would not bring NATS back, and would
    /// load the model once more.
    pub fn health(&self) -> Result<(), String> {
        let broken = *self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.map_or(Ok(()), |why| Err(why.into()))
    }
}
