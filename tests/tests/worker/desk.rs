//! The coordinator's place: publishes offers, answers reports, listens to signals.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use async_nats::{Client, Subscriber, jetstream};
use atelier_proto::{
    JobId, RequestId, decode, encode,
    job::{JobKind, JobOffer, PlanWork, Priority, RenderWork, Work},
    report::{Outcome, Report, ReportAnswer},
    signal::{Cancel, Heartbeat, Progress},
    subject::Names,
};
use atelier_tests::{Sandbox, in_time};
use futures::StreamExt;
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// Model that the double serves in these tests.
pub const MODEL: &str = "atelier-mini";

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Desk {
    pub names: Names,
    pub client: Client,
    jetstream: jetstream::Context,
    reports: Option<Subscriber>,
    progress: Subscriber,
    heartbeats: Subscriber,
}

impl Desk {
    /// Listens to everything, reports included.
    pub async fn open(sandbox: &Sandbox) -> Result<Self> {
        let mut desk = Self::without_reports(sandbox).await?;
        desk.hear_reports().await?;
        Ok(desk)
    }

    /// Listens to signals only: reports find nobody.
    pub async fn without_reports(sandbox: &Sandbox) -> Result<Self> {
        let names = Names::new(&sandbox.prefix)?;
        let client = async_nats::connect(&sandbox.nats_url).await?;
        let progress = client.subscribe(names.all_progress()).await?;
        let heartbeats = client.subscribe(names.all_heartbeats()).await?;
        client.flush().await?;
        Ok(Self {
            jetstream: jetstream::new(client.clone()),
            names,
            client,
            reports: None,
            progress,
            heartbeats,
        })
    }

    /// From now on reports find somebody.
    pub async fn hear_reports(&mut self) -> Result<()> {
        let subject = self.names.all_reports();
        let group = self.names.coordinators();
        self.reports = Some(self.client.queue_subscribe(subject, group).await?);
        Ok(self.client.flush().await?)
    }

    /// From now on reports that leave together find somebody.
    pub async fn hear_together(&self) -> Result<Subscriber> {
        let subject = self.names.all_reports_together();
        let group = self.names.coordinators();
        let heard = self.client.queue_subscribe(subject, group).await?;
        self.client.flush().await?;
        Ok(heard)
    }

    /// Publishes an offer; every publish is a message of its own, also of the same attempt.
    pub async fn offer(&self, offer: &JobOffer) -> Result<()> {
        self.send(offer.work.kind(), encode(offer, Some("00-test")))
            .await
    }

    /// Publishes any bytes as a job.
    pub async fn send(&self, kind: JobKind, bytes: Vec<u8>) -> Result<()> {
        let subject = self.names.job(kind, MODEL, Priority::Normal);
        self.jetstream.publish(subject, bytes.into()).await?.await?;
        Ok(())
    }

    pub async fn cancel(&self, request: RequestId) -> Result<()> {
        let bytes = encode(&Cancel { request }, None);
        self.client
            .publish(self.names.cancel(), bytes.into())
            .await?;
        Ok(self.client.flush().await?)
    }

    /// The next report, without an answer.
    pub async fn unanswered(&mut self) -> Result<(Report, async_nats::Subject)> {
        let reports = self.reports.as_mut().context("nobody hears reports")?;
        let message = next(reports).await?;
        let report = decode::<Report>(&message.payload)?.body;
        Ok((report, message.reply.context("a report is a request")?))
    }

    /// The next report, answered as committed.
    pub async fn report(&mut self) -> Result<Report> {
        let (report, reply) = self.unanswered().await?;
        self.answer(reply, ReportAnswer::Committed).await?;
        Ok(report)
    }

    pub async fn answer(&self, reply: async_nats::Subject, answer: ReportAnswer) -> Result<()> {
        let bytes = encode(&answer, None);
        self.client.publish(reply, bytes.into()).await?;
        Ok(self.client.flush().await?)
    }

    /// Whether no report comes for a while.
    pub async fn quiet(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.unanswered()).await.is_err()
    }

    pub async fn progress(&mut self) -> Result<Progress> {
        read(&mut self.progress).await
    }

    /// The next progress that is as `wanted`, in good time.
    pub async fn progress_that(&mut self, wanted: impl Fn(&Progress) -> bool) -> Result<Progress> {
        first(&mut self.progress, wanted).await
    }

    pub async fn heartbeat(&mut self) -> Result<Heartbeat> {
        read(&mut self.heartbeats).await
    }

    /// The next heartbeat that is as `wanted`, in good time.
    pub async fn heartbeat_that(
        &mut self,
        wanted: impl Fn(&Heartbeat) -> bool,
    ) -> Result<Heartbeat> {
        first(&mut self.heartbeats, wanted).await
    }

    /// Messages in the stream: what nobody has acknowledged.
    pub async fn waiting(&self) -> Result<u64> {
        let mut stream = self.jetstream.get_stream(self.names.jobs_stream()).await?;
        Ok(stream.info().await?.state.messages)
    }

    /// Pull requests for jobs of a kind that wait at the server.
    pub async fn pulls(&self, kind: JobKind) -> Result<usize> {
        let stream = self.jetstream.get_stream(self.names.jobs_stream()).await?;
        let consumer = self.names.consumer(kind, MODEL);
        Ok(stream.consumer_info(consumer).await?.num_waiting)
    }

    /// Takes everything out of the stream.
    pub async fn forget_jobs(&self) -> Result<()> {
        let stream = self.jetstream.get_stream(self.names.jobs_stream()).await?;
        stream.purge().await?;
        Ok(())
    }

    pub async fn delete_consumer(&self, kind: JobKind) -> Result<()> {
        let stream = self.jetstream.get_stream(self.names.jobs_stream()).await?;
        let consumer = self.names.consumer(kind, MODEL);
        stream.delete_consumer(&consumer).await?;
        Ok(())
    }

    pub async fn delete_stream(&self) -> Result<()> {
        let stream = self.names.jobs_stream();
        self.jetstream.delete_stream(stream).await?;
        Ok(())
    }

    /// Waits until somebody has made the stream of jobs again.
    pub async fn stream_is_there(&self) -> Result<()> {
        in_time("the stream", PATIENCE, async || {
            self.waiting().await.map(|_| true)
        })
        .await
    }

    /// Waits until everything is acknowledged.
    pub async fn empty(&self) -> Result<()> {
        self.all_but(0).await
    }

    /// Waits until everything but so many jobs is acknowledged.
    pub async fn all_but(&self, jobs: u64) -> Result<()> {
        in_time("all but some are acknowledged", PATIENCE, async || {
            let waiting = self.waiting().await?;
            ensure!(
                waiting == jobs,
                "{waiting} jobs are not acknowledged, not {jobs}"
            );
            Ok(true)
        })
        .await
    }

    /// Has a plan made, so that there is one in the store to draw from.
    pub async fn plan(&mut self, prompt: &str) -> Result<atelier_proto::ArtifactRef> {
        self.offer(&offer(plan_work(prompt))).await?;
        match self.report().await?.outcome {
            Outcome::Planned { artifact, .. } => Ok(artifact),
            other => bail!("no plan: {other:?}"),
        }
    }

    /// An offer to draw a plan in so many steps.
    pub async fn render(&mut self, prompt: &str, steps: u32) -> Result<JobOffer> {
        let plan = self.plan(prompt).await?;
        Ok(offer(Work::Render(RenderWork {
            plan,
            stage: "out".into(),
            seed: 5,
            steps: Some(steps),
            size: None,
            inputs: Vec::new(),
            references: Vec::new(),
            fix: None,
            keep_for: None,
        })))
    }
}

/// A first attempt at a fresh job of a fresh request.
pub fn offer(work: Work) -> JobOffer {
    JobOffer {
        job: JobId::from_uuid(Uuid::now_v7()),
        attempt: 1,
        request: RequestId::from_uuid(Uuid::now_v7()),
        lease_ms: 30_000,
        avoid: Vec::new(),
        alone: false,
        work,
    }
}

pub fn plan_work(prompt: &str) -> Work {
    Work::Plan(PlanWork {
        prompt: prompt.into(),
        seed: 3,
        references: Vec::new(),
        findings: Vec::new(),
        keep_for: None,
        think: Default::default(),
        think_tokens: None,
    })
}

async fn next(messages: &mut Subscriber) -> Result<async_nats::Message> {
    let message = tokio::time::timeout(PATIENCE, messages.next()).await;
    message.context("nothing came in time")?.context("closed")
}

async fn first<T: DeserializeOwned>(
    messages: &mut Subscriber,
    wanted: impl Fn(&T) -> bool,
) -> Result<T> {
    let found = async {
        loop {
            let message = read(messages).await?;
            if wanted(&message) {
                return Ok(message);
            }
        }
    };
    let found = tokio::time::timeout(PATIENCE, found).await;
    found.context("no such message came in time")?
}

async fn read<T: DeserializeOwned>(messages: &mut Subscriber) -> Result<T> {
    Ok(decode::<T>(&next(messages).await?.payload)?.body)
}
