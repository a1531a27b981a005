//! What happens between the steps of running work: stop when told, and show how far it is.

use std::{
    io::Cursor,
    sync::Arc,
    time::{Duration, Instant},
};

use atelier_engine::Control;
use atelier_proto::{JobId, encode, signal::Progress};
use image::{ImageFormat, RgbImage};
use tokio::{runtime::Handle, sync::mpsc};

use crate::{device::Attended, hands::Job, shared::Shared};

/// Shortest time between two signals of a job.
const BETWEEN_SIGNALS: Duration = Duration::from_millis(40);

/// Shortest time between two previews of a job.
const BETWEEN_PREVIEWS: Duration = Duration::from_millis(250);

/// Largest preview that is sent, in pixels on the longer edge.
const MAX_PREVIEW: u32 = 256;

/// How long the device waits at most until the connection has taken the sign that it begins. Usually that is the time of one write to a
/// socket; while NATS is away nobody waits.
const BEFORE_BEGIN: Duration = Duration::from_millis(50);

/// Steps that may wait to be shown; further ones are left out.
const MOST_WAITING: usize = 16;

/// One step to be shown.
#[derive(Debug)]
pub struct Step {
    job: Arc<Job>,
    step: u32,
    total: u32,
    preview: Option<RgbImage>,
}

/// The way of steps from the device thread to [`show`].
pub fn channel() -> (mpsc::Sender<Step>, mpsc::Receiver<Step>) {
    mpsc::channel(MOST_WAITING)
}

/// The control that the engine sees.
#[derive(Debug)]
pub struct Steps {
    shared: Arc<Shared>,
    job: Arc<Job>,
    runtime: Handle,
    /// The last signal, or the beginning: who is done within one pause needs none.
    signaled: Option<Instant>,
    previewed: Option<Instant>,
}

impl Steps {
    /// The control of a job. Must be called on the runtime.
    pub fn new(shared: Arc<Shared>, job: Arc<Job>) -> Self {
        Self {
            shared,
            job,
            runtime: Handle::current(),
            signaled: None,
            previewed: None,
        }
    }

    /// Whether the sign that the job begins has to be out of this process before it does. Were the process to end before that, the job would be held
    /// against nobody and begin again, and then with this wait; so that jobs which take less time than the wait need not bear it the first time.
    fn begins_surely(&self) -> bool {
        self.job.offer.attempt > 1 || !self.shared.hands.is_quick()
    }
}

impl Control for Steps {
    fn canceled(&self) -> bool {
        self.job.stopped().is_some()
    }

    fn looks(&self) -> bool {
        due(self.signaled, BETWEEN_SIGNALS) && due(self.previewed, BETWEEN_PREVIEWS)
    }

    fn progress(&mut self, step: u32, total: u32, preview: Option<RgbImage>) {
        self.shared.hands.step(&self.job, step, total);
        if !due(self.signaled, BETWEEN_SIGNALS) {
            return;
        }
        let preview = preview.filter(|_| self.looks());
        let now = Some(Instant::now());
        self.signaled = now;
        if preview.is_some() {
            self.previewed = now;
        }
        // Never waits: the device is worth more than a signal.
        let _ = self.shared.steps.try_send(Step {
            job: self.job.clone(),
            step,
            total,
            preview,
        });
    }
}

/// Whether the last time is long enough ago.
fn due(last: Option<Instant>, pause: Duration) -> bool {
    last.is_none_or(|last| last.elapsed() >= pause)
}

impl Attended for Steps {
    fn alone(&self) -> bool {
        self.job.offer.alone
    }

    /// The farm hears that the job is on the device before it is: should it kill the process at once, it is known which one it was. Of jobs that
    /// take next to no time it hears in the next sign of life, of many at once.
    fn begin(&mut self) {
        self.shared.hands.begin(&self.job);
        if !self.begins_surely() {
            self.shared.begun.notify_one();
        } else if self.shared.bus.is_connected() {
            let tell = async {
                let told = tell_begin(&self.shared, &self.job);
                tokio::time::timeout(BEFORE_BEGIN, told).await
            };
            if self.runtime.block_on(tell).is_err() {
                tracing::debug!("the device begins although NATS did not take the sign of it");
            }
        }
        self.signaled = Some(Instant::now());
    }

    fn end(&mut self) {
        self.shared.hands.computed(&self.job);
    }
}

/// Sends step 0, and waits until it is out of this process.
async fn tell_begin(shared: &Shared, job: &Arc<Job>) {
    let begin = Step {
        job: job.clone(),
        step: 0,
        total: 0,
        preview: None,
    };
    let computed = shared.hands.signs().computed;
    publish(shared, begin, computed).await;
    if let Err(error) = shared.bus.client().flush().await {
        tracing::debug!(%error, "the begin of a job was not sent");
    }
}

/// Publishes the steps of all jobs.
pub async fn show(shared: Arc<Shared>, mut steps: mpsc::Receiver<Step>) {
    while let Some(step) = steps.recv().await {
        publish(&shared, step, Vec::new()).await;
    }
}

async fn publish(shared: &Shared, step: Step, computed: Vec<(JobId, u32)>) {
    let job = step.job;
    let signal = Progress {
        job: job.offer.job,
        attempt: job.offer.attempt,
        request: job.offer.request,
        worker: shared.worker,
        kind: job.offer.work.kind(),
        step: step.step,
        total: step.total,
        preview_png: step.preview.and_then(small_png),
        computed,
    };
    let subject = shared.bus.names().progress(job.offer.request);
    let bytes = encode(&signal, Some(&job.trace.to_string()));
    if let Err(error) = shared.bus.publish(subject, bytes).await {
        tracing::debug!(%error, "progress was not sent");
    }
}

fn small_png(image: RgbImage) -> Option<Vec<u8>> {
    let image = if image.width().max(image.height()) > MAX_PREVIEW {
        image::DynamicImage::from(image)
            .thumbnail(MAX_PREVIEW, MAX_PREVIEW)
            .into_rgb8()
    } else {
        image
    };
    let mut png = Cursor::new(Vec::new());
    match image.write_to(&mut png, ImageFormat::Png) {
        Ok(()) => Some(png.into_inner()),
        Err(error) => {
            tracing::debug!(%error, "preview was not encoded");
            None
        }
    }
}
