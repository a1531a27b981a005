//! A worker's hands: takes jobs, stores what it "made", reports. Does only what it is told to.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::Sandbox;
use anyhow::{Context, Result, bail};
use atelier_platform::{
    Artifacts, Bus, BusOptions,
    bus::{Delivery, Puller, Urgency},
};
use atelier_proto::{
    ArtifactRef, MediaType, WorkerId, decode, encode,
    job::{JobKind, JobOffer, Size, Work},
    plan::{Check, Plan, Question, Stage, StageOp},
    report::{Outcome, Report, ReportAnswer, Thought},
    review::{Answer, Review, Verdict},
    signal::{Heartbeat, Progress},
};
use image::RgbImage;
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

/// The model that the hand has unless a test says otherwise.
pub const MODEL: &str = "atelier-mini";

/// A worker played by the test.
pub struct Hand {
    /// Its connection.
    pub bus: Bus,
    /// Its id as a worker.
    pub id: WorkerId,
    /// Its name for people.
    pub name: String,
    /// The model that it says to have.
    pub model: String,
    /// What its reports say of batches.
    pub batch: u32,
    /// Whether its reports say that something else was away.
    pub outage: bool,
    /// Whether it says that it takes nothing new.
    pub draining: bool,
    /// What it says that it is kept from.
    pub kept_from: Vec<JobKind>,
    artifacts: Artifacts,
}

/// A job in the hand.
pub struct Taken {
    /// What is wanted.
    pub offer: JobOffer,
    /// The `traceparent` that it came with.
    pub trace: Option<String>,
    /// To be acknowledged.
    pub delivery: Delivery,
}

impl Hand {
    /// A hand in a test's farm.
    pub async fn new(sandbox: &Sandbox) -> Result<Self> {
        let options = BusOptions {
            url: sandbox.nats_url.clone(),
            credentials: None,
            prefix: sandbox.prefix.clone(),
            inbox: "_INBOX".into(),
            client_name: "hand".into(),
            replicas: 1,
        };
        Ok(Self {
            bus: Bus::connect(options).await?,
            id: WorkerId::from_uuid(Uuid::now_v7()),
            name: "hand".into(),
            model: MODEL.into(),
            batch: 1,
            outage: false,
            draining: false,
            kept_from: Vec::new(),
            artifacts: Artifacts::open_with(&sandbox.store_url, &sandbox.environment)?,
        })
    }

    /// The next job of `kind`, within `patience`.
    pub async fn take(&self, kind: JobKind, patience: Duration) -> Result<Taken> {
        let mut puller = Puller::new(&self.bus, kind, MODEL);
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            match tokio::time::timeout(left, puller.pull(Urgency::Idle)).await {
                Ok(Ok(Some(delivery))) => {
                    let envelope = decode::<JobOffer>(delivery.bytes())?;
                    return Ok(Taken {
                        offer: envelope.body,
                        trace: envelope.trace,
                        delivery,
                    });
                }
                Ok(Err(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
                Ok(Ok(None)) | Err(_) => {}
            }
        }
        bail!("no {} job within {patience:?}", kind.as_str())
    }

    /// Takes the next job of `kind` in good time.
    pub async fn next(&self, kind: JobKind) -> Result<Taken> {
        self.take(kind, Duration::from_secs(15)).await
    }

    /// Whether a job of `kind` comes within `time`; it is taken if so.
    pub async fn nothing(&self, kind: JobKind, time: Duration) -> Result<()> {
        match self.take(kind, time).await {
            Ok(taken) => bail!("there is a job: {:?}", taken.offer),
            Err(_) => Ok(()),
        }
    }

    /// Sends a report until somebody answers.
    pub async fn report(&self, offer: &JobOffer, outcome: Outcome) -> Result<ReportAnswer> {
        let report = Report {
            job: offer.job,
            attempt: offer.attempt,
            request: offer.request,
            worker: self.id,
            sources: offer.work.sources(),
            device_ms: 3,
            batch: self.batch,
            outage: self.outage,
            made: None,
            outcome,
        };
        self.send(offer.work.kind(), &report).await
    }

    /// Sends anything as a report of a `kind` of job.
    pub async fn send(&self, kind: JobKind, report: &impl Serialize) -> Result<ReportAnswer> {
        let subject = self.bus.names().report(kind);
        let message = encode(report, None);
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let answer = self
                .bus
                .request(
                    subject.clone(),
                    message.clone().into(),
                    Duration::from_secs(3),
                )
                .await;
            match answer {
                Ok(envelope) => return Ok(envelope.body),
                Err(error) if Instant::now() > deadline => return Err(error.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Reports and settles a job whose report must be committed.
    pub async fn finish(&self, taken: Taken, outcome: Outcome) -> Result<()> {
        let answer = self.report(&taken.offer, outcome).await?;
        taken.delivery.done().await;
        anyhow::ensure!(answer == ReportAnswer::Committed, "answered {answer:?}");
        Ok(())
    }

    /// Says that it lives, with these jobs on its device.
    pub async fn beat(&self, on_device: &[&JobOffer]) -> Result<()> {
        self.beat_beside(on_device, &[]).await
    }

    /// Says that it lives, with jobs on its device and others beside them in its hands.
    pub async fn beat_beside(&self, on_device: &[&JobOffer], waiting: &[&JobOffer]) -> Result<()> {
        let pairs = |offers: &[&JobOffer]| -> Vec<_> {
            let pair = |offer: &&JobOffer| (offer.job, offer.attempt);
            offers.iter().map(pair).collect()
        };
        let heartbeat = Heartbeat {
            worker: self.id,
            name: self.name.clone(),
            roles: JobKind::ALL.to_vec(),
            model: self.model.clone(),
            device: "none".into(),
            holding: [pairs(on_device), pairs(waiting)].concat(),
            draining: self.draining,
            on_device: pairs(on_device),
            computed: Vec::new(),
            kept_from: self.kept_from.clone(),
        };
        let subject = self.bus.names().heartbeat(self.id);
        self.bus.publish(subject, encode(&heartbeat, None)).await?;
        self.bus.flush().await;
        Ok(())
    }

    /// Says how far a job is.
    pub async fn progress(&self, offer: &JobOffer, step: u32, total: u32) -> Result<()> {
        self.preview(offer, step, total, None).await
    }

    /// The same, with how the picture looks.
    pub async fn preview(
        &self,
        offer: &JobOffer,
        step: u32,
        total: u32,
        preview_png: Option<Vec<u8>>,
    ) -> Result<()> {
        let progress = Progress {
            job: offer.job,
            attempt: offer.attempt,
            request: offer.request,
            worker: self.id,
            kind: offer.work.kind(),
            step,
            total,
            preview_png,
            computed: Vec::new(),
        };
        let subject = self.bus.names().progress(offer.request);
        self.bus.publish(subject, encode(&progress, None)).await?;
        self.bus.flush().await;
        Ok(())
    }

    /// Stores `plan` and makes it an outcome.
    pub async fn planned(&self, plan: Plan) -> Result<Outcome> {
        let artifact = self.json(&plan).await?;
        let thought = Thought {
            text: "a thought".into(),
            tokens_sampled: 5,
            tokens_forced: 7,
            ..Thought::default()
        };
        Ok(Outcome::Planned {
            plan: Arc::new(plan),
            artifact,
            thought,
        })
    }

    /// Stores a picture that differs by `shade` and makes it an outcome.
    pub async fn rendered(&self, shade: u8) -> Result<Outcome> {
        self.drew(&one_shade(shade)).await
    }

    /// Stores a picture and makes it an outcome.
    pub async fn drew(&self, picture: &RgbImage) -> Result<Outcome> {
        let (width, height) = picture.dimensions();
        let image = self
            .artifacts
            .put(encoded(picture)?.into(), MediaType::Png)
            .await?;
        Ok(Outcome::Rendered {
            image,
            size: Size { width, height },
            steps: 4,
            references: Vec::new(),
            kept: None,
        })
    }

    /// Stores a review with these answers and makes it an outcome.
    pub async fn reviewed(&self, answers: &[Answer]) -> Result<Outcome> {
        let verdicts = answers.iter().enumerate().map(|(index, answer)| Verdict {
            check: format!("k{index}"),
            answer: *answer,
            confidence: 0.9,
            found: "what was found".into(),
            boxes: Vec::new(),
        });
        let review = Review {
            verdicts: verdicts.collect(),
            seen: Vec::new(),
            fixes: Vec::new(),
            findings: Vec::new(),
            contradictory: Vec::new(),
        };
        let artifact = self.json(&review).await?;
        let score = review.score();
        Ok(Outcome::Reviewed {
            review: Arc::new(review),
            artifact,
            score,
        })
    }

    /// Reads a stored artifact's JSON.
    pub async fn read<T: DeserializeOwned>(&self, artifact: &ArtifactRef) -> Result<T> {
        let bytes = self.artifacts.get(artifact, 1 << 20).await?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    async fn json(&self, value: &impl Serialize) -> Result<ArtifactRef> {
        let bytes = serde_json::to_vec(value)?;
        Ok(self.artifacts.put(bytes.into(), MediaType::Json).await?)
    }
}

/// A small picture of one shade, as a file.
pub fn png(shade: u8) -> Result<Vec<u8>> {
    encoded(&one_shade(shade))
}

fn one_shade(shade: u8) -> RgbImage {
    RgbImage::from_pixel(8, 8, image::Rgb([shade, 0, 0]))
}

fn encoded(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut png = Vec::new();
    picture.write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png)?;
    Ok(png)
}

/// Day, night made from it, and one check per answer wanted.
pub fn day_and_night(checks: usize) -> Plan {
    let mut plan = Plan::direct("a city by day and by night");
    plan.stages[0].id = "day".into();
    plan.stages.push(Stage {
        id: "night".into(),
        op: StageOp::Edit {
            input: "day".into(),
            instruction: "at night".into(),
            strength: 0.7,
        },
    });
    plan.checks = (0..checks)
        .map(|index| Check {
            id: format!("k{index}"),
            question: Question::Text {
                expect: "city".into(),
            },
        })
        .collect();
    plan
}

/// The stage and seed of a render job.
pub fn stage_of(offer: &JobOffer) -> Result<(&str, u64)> {
    match &offer.work {
        Work::Render(work) => Ok((&work.stage, work.seed)),
        _ => None.context("not a render job"),
    }
}
