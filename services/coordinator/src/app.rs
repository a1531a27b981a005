//! Wiring: from the command line to running loops and the HTTP API, and back down.

use std::{net::SocketAddr, path::Path, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context;
use atelier_platform::{
    Artifacts, Bus, BusOptions, Lifecycle, Pulses, SystemClock,
    telemetry::{self, Metrics as Registry, Spans, spans::Program},
};
use atelier_proto::subject::check_token;
use axum::serve::ListenerExt;
use tokio::{
    net::TcpListener,
    sync::{Notify, mpsc, watch},
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    farm::{
        Changes, EndRates, Farm, Ids, Parts, Pass, PostedJobs, Reported, Secrets, Trust, Turns,
        Webhooks, Workers,
    },
    http, loops,
    metrics::Metrics,
    store::{Store, StoreOptions},
};

/// Submits that may wait for their commit.
const MOST_WAITING: usize = 1_024;
/// Ended requests whose traces may wait; more are found by reconcile.
const MOST_TRACES: usize = 4_096;
/// Pictures, of edits those of a whole call, that are decoded at once: a small file may take 128 MiB.
const MOST_DECODING: usize = 4;
/// A worker that was not heard for this long is not counted any more.
const SILENCE: Duration = Duration::from_secs(15);
/// How long a report vouches for its job, while it is saved.
const REPORTED: Duration = Duration::from_secs(1);
/// How long the last spans may take once everything else is over.
const LAST_SPANS: Duration = Duration::from_secs(2);
/// Wait before an unreachable database is tried again at start.
const DATABASE_RETRY: Duration = Duration::from_secs(1);

/// Runs a coordinator until a signal ends it; returns the exit code.
pub async fn run(config: Config) -> ExitCode {
    if let Err(error) = telemetry::logs::init(config.log_format, &config.log) {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    let registry = Registry::default();
    registry.build_info("coordinator", env!("CARGO_PKG_VERSION"));
    let program = Program {
        name: "atelier-coordinator",
        version: env!("CARGO_PKG_VERSION"),
        instance: None,
    };
    let spans = match Spans::open(config.otlp_endpoint.as_deref(), program, &registry) {
        Ok(spans) => spans,
        Err(error) => {
            tracing::error!(%error, "--otlp-endpoint");
            return ExitCode::FAILURE;
        }
    };
    let telling = (registry, spans.clone());
    let life = Lifecycle::new(Duration::from_secs(config.grace_s));
    let starting = life.clone();
    let stop = life.soft();
    // A signal must end a coordinator also while it waits for its database.
    life.spawn("start", async move {
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            started = start(config, telling, starting) => started,
        }
    });
    let code = life.run().await;
    spans.close(LAST_SPANS).await;
    code
}

async fn start(
    config: Config,
    (registry, spans): (Registry, Spans),
    life: Lifecycle,
) -> anyhow::Result<()> {
    check_token(&config.model).context("--model")?;
    let store = Store::open(&StoreOptions {
        url: config.database_url.clone(),
        connections: config.database_connections,
    })
    .context("--database-url")?;
    let artifacts = Artifacts::open(&config.store_url)
        .context("--store-url")?
        .measured(&registry);
    let bus = Bus::connect(BusOptions {
        url: config.nats_url.clone(),
        credentials: config.nats_credentials.clone(),
        prefix: config.prefix.clone(),
        inbox: config.nats_inbox.clone(),
        client_name: "atelier-coordinator".into(),
        replicas: config.nats_replicas,
    })
    .await?
    .measured(&registry);
    migrate(&store).await?;

    let (intake, waiting) = mpsc::channel(MOST_WAITING);
    let (traces, ended) = mpsc::channel(MOST_TRACES);
    let (stream, epoch) = watch::channel(0);
    let farm = Farm::new(Parts {
        store,
        bus,
        artifacts,
        metrics: Metrics::new(&registry),
        spans,
        pulses: Pulses::default(),
        policy: config.policy(),
        model: config.model.as_str().into(),
        ids: Ids::new(SystemClock),
        ready: Arc::new(Notify::new()),
        pass: Pass::default(),
        changes: Changes::default(),
        workers: Workers::new(config.model.as_str().into(), SILENCE),
        trust: Trust::default(),
        end_rates: EndRates::default(),
        queue_limit: config.tenant_queue_limit,
        webhooks: Webhooks::default(),
        webhook_terms: config.webhooks(),
        public_url: config.public_url.as_deref().map(Into::into),
        posted: PostedJobs::default(),
        reported: Reported::new(REPORTED.min(Duration::from_millis(config.lease_ms / 4))),
        secrets: Secrets::default(),
        decoding: Turns::new(MOST_DECODING),
        stream: epoch,
        life: life.clone(),
        intake,
        traces,
    });

    let settings = config.http();
    let stop = life.soft();
    // Submits are accepted until the last HTTP request is answered.
    let served = CancellationToken::new();
    let endless = |name, task: futures::future::BoxFuture<'static, ()>| {
        life.spawn(name, async move {
            task.await;
            Ok::<_, anyhow::Error>(())
        });
    };
    endless(
        "intake",
        Box::pin(loops::intake::run(farm.clone(), waiting, served.clone())),
    );
    endless(
        "dispatch",
        Box::pin(loops::dispatch::run(
            farm.clone(),
            life.clone(),
            stop.clone(),
        )),
    );
    endless(
        "queue",
        Box::pin(loops::queue::run(farm.clone(), stream, stop.clone())),
    );
    endless(
        "reconcile",
        Box::pin(loops::reconcile::run(farm.clone(), stop.clone())),
    );
    endless(
        "notices",
        Box::pin(loops::notices::run(farm.clone(), stop.clone())),
    );
    endless(
        "retire",
        Box::pin(loops::retire::run(
            farm.clone(),
            config.keep(),
            stop.clone(),
        )),
    );
    endless(
        "traces",
        Box::pin(loops::traces::run(farm.clone(), ended, stop.clone())),
    );
    endless(
        "webhooks",
        Box::pin(loops::webhooks::run(farm.clone(), stop.clone())),
    );
    if let Some(access) = config.pods() {
        endless(
            "pods",
            Box::pin(loops::pods::run(farm.clone(), access, stop.clone())),
        );
    }
    life.spawn("cancels", loops::cancels::run(farm.clone(), stop.clone()));
    life.spawn("collect", loops::collect::run(farm.clone(), stop.clone()));
    life.spawn("liveness", loops::liveness::run(farm.clone(), stop.clone()));
    life.spawn("registry", loops::registry::run(farm.clone(), stop.clone()));

    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("--listen {}", config.listen))?;
    let address = listener.local_addr()?;
    // Events are small writes: held back until the last one is acknowledged, each would cost 40 ms.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a caller's events may be late");
        }
    });
    let router = http::router(farm, registry, settings, stop.clone());
    life.spawn("http", async move {
        let result = axum::serve(listener, router)
            .with_graceful_shutdown(stop.cancelled_owned())
            .await;
        served.cancel();
        result
    });
    announce(address, config.announce.as_deref())
}

/// Brings the schema up to date; waits for a database that is not there yet.
async fn migrate(store: &Store) -> anyhow::Result<()> {
    loop {
        match store.migrate().await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_away() => {
                tracing::warn!(%error, "waiting for PostgreSQL");
                tokio::time::sleep(DATABASE_RETRY).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Says where the API is: in the log, and in a file that is there at once and whole.
fn announce(address: SocketAddr, file: Option<&Path>) -> anyhow::Result<()> {
    let url = format!("http://{address}");
    if let Some(file) = file {
        let new = file.with_extension("new");
        std::fs::write(&new, &url)
            .and_then(|()| std::fs::rename(&new, file))
            .with_context(|| format!("--announce {}", file.display()))?;
    }
    tracing::info!(url, "coordinator is ready");
    Ok(())
}
