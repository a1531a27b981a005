//! Puts the worker together.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use atelier_platform::{
    Artifacts, Bus, BusOptions, Lifecycle,
    admin::{self, Probes},
    bus::Puller,
    telemetry::{Metrics, Spans, spans::Program},
};

use crate::{
    announce::{self, Announcement},
    cancel,
    config::Config,
    device::Device,
    drain, engines, intake, lease,
    metrics::WorkerMetrics,
    progress, quarantine,
    shared::{Parts, Shared},
    watchdog,
};

/// Bytes of artifacts that are kept for the next job that reads them: a plan is read by every stage of it, a picture by the next stage.
const MEMORY: usize = 64 << 20;

/// Starts everything; when this returns the worker takes jobs.
pub async fn start(config: Config, life: &Lifecycle) -> anyhow::Result<Arc<Shared>> {
    let metrics = Metrics::default();
    metrics.build_info("worker", env!("CARGO_PKG_VERSION"));
    let program = Program {
        name: "atelier-worker",
        version: env!("CARGO_PKG_VERSION"),
        instance: Some(config.display_name()),
    };
    let spans = Spans::open(config.otlp_endpoint.as_deref(), program, &metrics)
        .context("--otlp-endpoint")?;
    let artifacts = Artifacts::open(&config.store_url)?
        .remembering(MEMORY)
        .measured(&metrics);
    let bus = Bus::connect(BusOptions {
        url: config.nats_url.clone(),
        credentials: config.nats_credentials.clone(),
        prefix: config.prefix.clone(),
        inbox: config.nats_inbox.clone(),
        client_name: format!("atelier-worker {}", config.display_name()),
        replicas: config.nats_replicas,
    })
    .await?
    .measured(&metrics);
    let (loading, started) = (config.clone(), Instant::now());
    let engine = Device::start(move || engines::load(&loading), config.most_at_once())
        .await
        .context("loading the engine")?;
    let loaded_in = started.elapsed();
    let (steps, shown) = progress::channel();
    let parts = Parts {
        engine,
        loaded_in,
        bus,
        artifacts,
        steps,
        metrics: WorkerMetrics::new(&metrics),
        spans,
        life: life.clone(),
    };
    parts.metrics.load_seconds.set(loaded_in.as_secs_f64());
    let shared = Arc::new(Shared::new(&config, parts));
    tokio::spawn(progress::show(shared.clone(), shown));
    spawn(&shared, &config, metrics).await?;
    tracing::info!(
        worker = %shared.worker, name = shared.name, model = shared.about.model,
        device = shared.about.device, batch = shared.about.batch, roles = ?shared.roles, "taking jobs"
    );
    if let Some(file) = &config.announce {
        announce::write(file, &announcement(&shared))?;
    }
    Ok(shared)
}

/// One puller a role, once NATS is there and the stream and the consumers exist.
async fn pullers(shared: &Shared) -> Vec<Puller> {
    let mut ready = Vec::new();
    for &role in &shared.roles {
        let mut puller = Puller::new(&shared.bus, role, &shared.about.model);
        while let Err(error) = puller.prepare().await {
            tracing::warn!(%error, "NATS is not ready: trying again");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        ready.push(puller);
    }
    ready
}

async fn spawn(shared: &Arc<Shared>, config: &Config, metrics: Metrics) -> anyhow::Result<()> {
    let life = &shared.life;
    let cancels = cancel::subscribe(shared).await?;
    let advice = quarantine::subscribe(shared).await?;
    let pullers = pullers(shared).await;
    // The first sign of life comes before the first job.
    lease::beat(shared).await;
    shared.bus.flush().await;
    life.spawn("cancel", cancel::run(shared.clone(), cancels));
    life.spawn("quarantine", quarantine::run(shared.clone(), advice));
    life.track(watchdog::run(shared.clone()));
    life.track(lease::run(shared.clone(), config.heartbeat()));
    life.track(drain::run(shared.clone(), config.drain()));
    for puller in pullers {
        life.track(intake::run(shared.clone(), puller));
    }
    if let Some(address) = config.admin_listen {
        let (health, readiness) = (shared.clone(), shared.clone());
        let probes = Probes {
            health: Arc::new(move || health.health()),
            readiness: Arc::new(move || readiness.readiness()),
        };
        let served = admin::serve(address, metrics, probes, shared.empty.clone());
        life.spawn("admin", served);
    }
    Ok(())
}

fn announcement(shared: &Shared) -> Announcement {
    Announcement {
        worker: shared.worker,
        name: shared.name.clone(),
        model: shared.about.model.clone(),
        device: shared.about.device.clone(),
        roles: shared.roles.clone(),
        pid: std::process::id(),
    }
}
