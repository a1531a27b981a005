//! What happens between the steps of running work: stop when told, and show how far it is.

use std::{
    io::Cursor,
    sync::Arc,
    time::{Duration, Instant},
};

use atelier_engine::Control;
use atelier_proto::{encode, signal::Progress};
use image::{ImageFormat, RgbImage};
use tokio::sync::mpsc;

use crate::{
    device::Attended,
    hands::{Hands, Job},
    shared::Shared,
};

/// Shortest time between two signals of a job.
const BETWEEN_SIGNALS: Duration = Duration::from_millis(40);

/// Shortest time between two previews of a job.
const BETWEEN_PREVIEWS: Duration = Duration::from_millis(250);

/// Largest preview that is sent, in pixels on the longer edge.
const MAX_PREVIEW: u32 = 256;

/// One step to be shown.
#[derive(Debug)]
pub struct Step {
    step: u32,
    total: u32,
    preview: Option<RgbImage>,
}

/// The control that the engine sees.
#[derive(Debug)]
pub struct Steps {
    hands: Arc<Hands>,
    job: Arc<Job>,
    out: mpsc::Sender<Step>,
    signaled: Option<Instant>,
    previewed: Option<Instant>,
}

impl Steps {
    /// The control of a job, and where its steps come out for [`show`].
    pub fn new(hands: Arc<Hands>, job: Arc<Job>) -> (Self, mpsc::Receiver<Step>) {
        let (out, steps) = mpsc::channel(4);
        let control = Self {
            hands,
            job,
            out,
            signaled: None,
            previewed: None,
        };
        (control, steps)
    }
}

impl Control for Steps {
    fn canceled(&self) -> bool {
        self.job.stopped().is_some()
    }

    fn progress(&mut self, step: u32, total: u32, preview: Option<RgbImage>) {
        self.hands.step(&self.job, step, total);
        let now = Instant::now();
        let due = |last: Option<Instant>, pause| {
            last.is_none_or(|last| now.duration_since(last) >= pause)
        };
        if !due(self.signaled, BETWEEN_SIGNALS) {
            return;
        }
        self.signaled = Some(now);
        let preview = preview.filter(|_| due(self.previewed, BETWEEN_PREVIEWS));
        if preview.is_some() {
            self.previewed = Some(now);
        }
        // Never waits: the device is worth more than a signal.
        let _ = self.out.try_send(Step {
            step,
            total,
            preview,
        });
    }
}

impl Attended for Steps {
    fn begin(&mut self) {
        self.hands.begin(&self.job);
    }
}

/// Publishes the steps of a job until its control is gone.
pub async fn show(shared: Arc<Shared>, job: Arc<Job>, mut steps: mpsc::Receiver<Step>) {
    while let Some(step) = steps.recv().await {
        let signal = Progress {
            job: job.offer.job,
            attempt: job.offer.attempt,
            request: job.offer.request,
            worker: shared.worker,
            kind: job.offer.work.kind(),
            step: step.step,
            total: step.total,
            preview_png: step.preview.and_then(small_png),
        };
        let subject = shared.bus.names().progress(job.offer.request);
        let bytes = encode(&signal, job.trace.as_deref());
        if let Err(error) = shared.bus.publish(subject, bytes).await {
            tracing::debug!(%error, "progress was not sent");
        }
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
