//! Draws what the arms ask for, a few requests at a time, and keeps pictures and what they took in the run's folder. What is there already is not
//! drawn again; what was sent before is the same request.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use atelier_proto::{
    RequestId, Sha256,
    http::{RequestState, SubmitRequest},
    job::JobKind,
    plan::Plan,
    trace::{Trace, TraceJob},
};
use atelier_story::words::plan_of;
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256 as Hasher};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    client::{Client, patiently},
    commands::{files::write_whole, follow},
    random::random_word,
    show::{self, Board},
};

/// One request to make.
#[derive(Clone, Debug)]
pub struct Task {
    /// Arm and case, and which drawing it is where there are several: `fast/h017`.
    pub name: String,
    /// What is sent.
    pub body: SubmitRequest,
}

/// What came of a request; the file beside its picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drawn {
    /// Idempotency key that it was first sent with.
    pub key: String,
    /// The request.
    pub id: RequestId,
    /// Why there is no picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether there is one.
    pub has_picture: bool,
    /// Whether the picture of the first round is another one than what was delivered.
    pub has_first: bool,
    /// Rounds that were drawn.
    pub rounds: u32,
    /// Seconds on devices.
    pub seconds: f64,
    /// Those of one look at a picture, where somebody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look_seconds: Option<f64>,
    /// The plan that was carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
}

/// Where to draw and where to keep it.
#[derive(Clone, Debug)]
pub struct Studio {
    /// The farm.
    pub client: Client,
    /// Folder of the run.
    pub folder: PathBuf,
    /// A word of the folder's own, so that another run draws anew.
    pub word: String,
    /// Most requests at a time.
    pub in_flight: usize,
}

impl Studio {
    /// The folder's own word, made when it is first drawn into.
    pub fn word(folder: &Path) -> Result<String> {
        let file = folder.join("run");
        match fs::read_to_string(&file) {
            Ok(word) => Ok(word),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let word = random_word()?;
                write_whole(&file, word.as_bytes())?;
                Ok(word)
            }
            Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
        }
    }

    /// File of a task's picture.
    pub fn picture(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.png"))
    }

    /// File of the picture of its first round, where that is another one.
    pub fn first_picture(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.first.png"))
    }

    /// Draws all tasks; what came of them is in their order.
    pub async fn all(&self, what: &str, tasks: Vec<Task>, board: &Board) -> Result<Vec<Drawn>> {
        let bar = board.total(tasks.len() as u64);
        bar.set_message(what.to_owned());
        let seats = Arc::new(Semaphore::new(self.in_flight));
        let mut running = JoinSet::new();
        let total = tasks.len();
        for (index, task) in tasks.into_iter().enumerate() {
            let (studio, seats) = (self.clone(), Arc::clone(&seats));
            running.spawn(async move {
                let _seat = seats.acquire().await.context("nobody closes the seats")?;
                let name = task.name.clone();
                let drawn = studio.one(task).await.with_context(|| name.clone())?;
                anyhow::Ok((index, name, drawn))
            });
        }
        let mut all: Vec<Option<Drawn>> = vec![None; total];
        while let Some(ended) = running.join_next().await {
            let (index, name, drawn) = ended.context("a request was not made")??;
            tell(board, &bar, &name, &drawn, total);
            all[index] = Some(drawn);
        }
        bar.finish_and_clear();
        all.into_iter()
            .map(|drawn| drawn.context("every request ends"))
            .collect()
    }

    async fn one(&self, task: Task) -> Result<Drawn> {
        let mut digest = Hasher::new();
        digest.update(&self.word);
        digest.update(&task.name);
        digest.update(serde_json::to_vec(&task.body)?);
        let key = format!("eval-{}", Sha256(digest.finalize().into()));
        let before = self.known(&task.name, &key);
        if let Some(drawn) = before.as_ref().filter(|drawn| drawn.has_picture) {
            return Ok(drawn.clone());
        }
        // What failed is drawn again; under its first key the farm would only say once more that it failed.
        let sent = match &before {
            Some(failed) => format!("{key}-after-{}", failed.id),
            None => key.clone(),
        };
        let view = self.client.submit(&task.body, &sent).await?;
        let mut lane = Board::new(true).lane(None);
        let view = follow::to_the_end(&self.client, view, &mut lane).await?;
        let trace: Trace = serde_json::from_slice(&patiently(|| self.client.trace(view.id)).await?)
            .context("the trace of the request")?;
        let mut drawn = Drawn::of(key, &trace);
        let picture = self.picture(&task.name);
        fs::create_dir_all(picture.parent().unwrap_or(&self.folder))?;
        if view.state == RequestState::Succeeded {
            write_whole(&picture, &patiently(|| self.client.image(view.id)).await?)?;
            drawn.has_picture = true;
            let delivered = view.image.map(|image| image.sha256);
            if let Some(first) = first_picture(&trace).filter(|first| Some(*first) != delivered) {
                let bytes = patiently(|| self.client.artifact(view.id, first)).await?;
                write_whole(&self.first_picture(&task.name), &bytes)?;
                drawn.has_first = true;
            }
        }
        write_whole(
            &self.record(&task.name),
            &serde_json::to_vec_pretty(&drawn)?,
        )?;
        Ok(drawn)
    }

    fn record(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    /// What came of the same request in an earlier run, when its pictures are still there.
    fn known(&self, name: &str, key: &str) -> Option<Drawn> {
        let drawn: Drawn = serde_json::from_slice(&fs::read(self.record(name)).ok()?).ok()?;
        let there = |wanted: bool, file: &Path| !wanted || file.is_file();
        let whole = there(drawn.has_picture, &self.picture(name))
            && there(drawn.has_first, &self.first_picture(name));
        (drawn.key == key && whole).then_some(drawn)
    }
}

impl Drawn {
    fn of(key: String, trace: &Trace) -> Self {
        let seconds = |ms: u64| ms as f64 / 1_000.0;
        let looks: Vec<u64> = trace
            .jobs
            .iter()
            .filter(|job| job.kind == JobKind::Critique)
            .filter_map(|job| job.device_ms)
            .collect();
        let drawn = trace
            .jobs
            .iter()
            .filter(|job| job.kind == JobKind::Render && job.artifact.is_some());
        Self {
            key,
            id: trace.request,
            reason: trace.reason.clone(),
            has_picture: false,
            has_first: false,
            rounds: drawn.map(|job| job.round).max().unwrap_or(0),
            seconds: seconds(trace.jobs.iter().filter_map(|job| job.device_ms).sum()),
            look_seconds: (!looks.is_empty())
                .then(|| seconds(looks.iter().sum()) / looks.len() as f64),
            plan: trace.plan.clone(),
        }
    }
}

/// The picture that the first round ended with: what no other stage of its plan reads.
fn first_picture(trace: &Trace) -> Option<Sha256> {
    let last = &plan_of(trace, 1)?.sink()?.id;
    let is_first = |job: &&TraceJob| {
        let is_last = job.stage.as_ref() == Some(last);
        job.kind == JobKind::Render && job.round == 1 && is_last && job.artifact.is_some()
    };
    let job = trace.jobs.iter().rfind(is_first)?;
    Some(job.artifact.as_ref()?.sha256)
}

fn tell(board: &Board, bar: &ProgressBar, name: &str, drawn: &Drawn, total: usize) {
    bar.inc(1);
    let words = match &drawn.reason {
        Some(reason) if !drawn.has_picture => format!("{name}: no picture: {}", show::line(reason)),
        _ => format!("{name}: {:.1} s of the device", drawn.seconds),
    };
    if board.is_lines() {
        board.say(&format!("{words} ({} of {total})", bar.position()));
    } else if !drawn.has_picture {
        board.say(&words);
    }
}
