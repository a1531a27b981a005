//! One OS thread owns the engine and does one thing at a time: a task, or a batch of equal drawings or of plans that wait for it. Nothing waits
//! for a batch to become full. A panic there ends the engine, not the process at once: what it did is reported first.

use std::{
    any::Any,
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use atelier_engine::{
    Control, CritiqueInput, Engine, EngineError, PlanInput, PlanOutput, RenderInput, RenderOutput,
};
use atelier_platform::inbox;
use atelier_proto::{Sha256, job::JobKind, review::Review};
use tokio::sync::{mpsc, oneshot};

/// Tasks that may wait for the device; the jobs in hands are fewer.
const MOST_WAITING: usize = 512;

/// Input of an engine.
#[derive(Debug)]
pub enum Task {
    /// Make a plan.
    Plan(PlanInput),
    /// Draw a stage.
    Render(Box<RenderInput>),
    /// Look at a picture.
    Critique(Box<CritiqueInput>),
}

impl Task {
    /// Nothing that was made for another task may be used for it, nor what is made for it for others.
    pub fn forbid_reuse(&mut self) {
        match self {
            Self::Plan(input) => input.keep_for = None,
            Self::Render(input) => input.reuse = false,
            Self::Critique(_) => {}
        }
    }
}

/// Output of an engine.
#[derive(Debug)]
pub enum Made {
    /// A plan.
    Plan(Box<PlanOutput>),
    /// A picture.
    Picture(RenderOutput),
    /// Answers.
    Review(Review),
}

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The engine said why.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine panicked; it is gone now.
    #[error("the engine panicked: {0}")]
    Panicked(String),
    /// The engine is gone since an earlier panic.
    #[error("the engine is gone")]
    Gone,
    /// It makes no steps any more, and cannot be told to stop.
    #[error("the device made no step for {} s", .0.as_secs_f64())]
    Hung(Duration),
}

/// What the engine says of itself.
#[derive(Clone, Debug)]
pub struct About {
    /// Name of the model in subjects.
    pub model: String,
    /// What it computes on.
    pub device: String,
    /// What it can do.
    pub roles: Vec<JobKind>,
    /// Most drawings that it makes at once.
    pub batch: usize,
    /// Most plans that it makes at once.
    pub plans: usize,
    /// Whether drawing takes longer than looking whether it was drawn before.
    pub dear: bool,
    /// Digests of what jobs of each kind are done with, as far as it tells.
    pub weights: Vec<(JobKind, Sha256)>,
}

impl About {
    /// Digest of what jobs of this kind are done with.
    pub fn weights(&self, kind: JobKind) -> Option<Sha256> {
        let mut told = self.weights.iter();
        told.find(|(of, _)| *of == kind).map(|(_, digest)| *digest)
    }
}

/// What a task came to.
#[derive(Debug)]
pub struct Done {
    /// What was made.
    pub made: Result<Made, DeviceError>,
    /// Time on the device, of a batch that of all.
    pub took: Duration,
    /// When that began; none when it was not computed.
    pub began: Option<Instant>,
    /// Tasks that were computed at once, this one included.
    pub batch: u32,
}

impl Done {
    /// It was not computed.
    pub fn without(error: DeviceError) -> Self {
        Self {
            made: Err(error),
            took: Duration::ZERO,
            began: None,
            batch: 1,
        }
    }
}

/// The attempt around a task.
pub trait Attended: Control + Send {
    /// Whether it must not be computed in one batch with others.
    fn alone(&self) -> bool;

    /// The device begins with it when this returns.
    fn begin(&mut self);

    /// It is off the device, whatever came of it.
    fn end(&mut self);
}

struct Command {
    task: Task,
    control: Box<dyn Attended>,
    span: tracing::Span,
    answer: oneshot::Sender<Done>,
}

/// The way to the device thread. Clones share it; the thread ends with the last of them.
#[derive(Clone, Debug)]
pub struct Device {
    commands: mpsc::Sender<Command>,
}

impl Device {
    /// Starts the thread and loads the engine on it. `batch` is the most drawings to make at once; none leaves it to the engine.
    pub async fn start<E>(
        load: impl FnOnce() -> Result<Box<dyn Engine>, E> + Send + 'static,
        batch: Option<usize>,
    ) -> Result<(Self, About), E>
    where
        E: Send + From<std::io::Error> + 'static,
    {
        let (commands, inbox) = mpsc::channel(MOST_WAITING);
        let (loaded, about) = oneshot::channel();
        std::thread::Builder::new()
            .name("device".into())
            .spawn(move || own(load, batch, loaded, inbox))?;
        let gone = || std::io::Error::other("the engine panicked while it was loaded");
        let about = about.await.map_err(|_| gone())??;
        Ok((Self { commands }, about))
    }

    /// Does a task when its turn comes.
    pub async fn run(&self, task: Task, control: Box<dyn Attended>) -> Done {
        let (answer, done) = oneshot::channel();
        let command = Command {
            task,
            control,
            span: tracing::Span::current(),
            answer,
        };
        if self.commands.send(command).await.is_err() {
            return Done::without(DeviceError::Gone);
        }
        done.await
            .unwrap_or_else(|_| Done::without(DeviceError::Gone))
    }
}

fn own<E>(
    load: impl FnOnce() -> Result<Box<dyn Engine>, E>,
    batch: Option<usize>,
    loaded: oneshot::Sender<Result<About, E>>,
    mut inbox: mpsc::Receiver<Command>,
) {
    let mut engine = match load() {
        Ok(engine) => engine,
        Err(error) => {
            let _ = loaded.send(Err(error));
            return;
        }
    };
    let batch = batch.unwrap_or_else(|| engine.best_batch()).max(1);
    let plans = engine.best_plan_batch().max(1);
    let about = About {
        model: engine.model().to_owned(),
        device: engine.device(),
        roles: engine.roles(),
        batch,
        plans,
        dear: engine.is_dear(),
        weights: JobKind::ALL
            .into_iter()
            .filter_map(|kind| Some((kind, engine.weights(kind)?)))
            .collect(),
    };
    if loaded.send(Ok(about.clone())).is_err() {
        return;
    }
    let mut waiting = VecDeque::new();
    while let Some(command) = inbox::next(&mut inbox) {
        waiting.push_back(command);
        loop {
            while let Ok(command) = inbox.try_recv() {
                waiting.push_back(command);
            }
            let turn = next_turn(&mut waiting, &about);
            if turn.is_empty() {
                break;
            }
            if compute(engine.as_mut(), turn).is_err() {
                return;
            }
        }
    }
}

/// The task that waits longest, and those that can be computed with it at once. Canceled ones before it are answered without work.
fn next_turn(waiting: &mut VecDeque<Command>, about: &About) -> Vec<Command> {
    let mut turn: Vec<Command> = Vec::new();
    let mut passed = Vec::new();
    while turn
        .first()
        .is_none_or(|first| turn.len() < first.most(about))
        && let Some(command) = waiting.pop_front()
    {
        if command.control.canceled() {
            command.answer(Done::without(EngineError::Canceled.into()));
        } else if turn.first().is_none_or(|first| first.goes_with(&command)) {
            turn.push(command);
        } else {
            passed.push(command);
        }
    }
    for command in passed.into_iter().rev() {
        waiting.push_front(command);
    }
    turn
}

/// The engine panicked and must not be used again.
struct Broken;

fn compute(engine: &mut dyn Engine, mut turn: Vec<Command>) -> Result<(), Broken> {
    let spans: Vec<_> = turn.iter().map(|command| command.span.clone()).collect();
    let _inside = spans.first().map(tracing::Span::enter);
    let start = Instant::now();
    // After a panic the engine is never used again, so that nobody sees it half done.
    let made = catch_unwind(AssertUnwindSafe(|| {
        turn.iter_mut().for_each(|command| command.control.begin());
        make(engine, &mut turn)
    }));
    let took = start.elapsed();
    // Before the next turn begins, so that nobody takes these for it.
    for command in &mut turn {
        command.control.end();
    }
    let batch = turn.len() as u32;
    let done = |made| Done {
        made,
        took,
        began: Some(start),
        batch,
    };
    match made {
        Ok(made) => {
            for (command, made) in turn.into_iter().zip(made) {
                command.answer(done(made.map_err(Into::into)));
            }
            Ok(())
        }
        Err(panic) => {
            let words = words(panic.as_ref());
            for command in turn {
                let error = DeviceError::Panicked(words.clone());
                command.answer(done(Err(error)));
            }
            Err(Broken)
        }
    }
}

/// One result for each command. Only drawings or only plans come more than one at once.
fn make(engine: &mut dyn Engine, turn: &mut [Command]) -> Vec<Result<Made, EngineError>> {
    if let [command] = turn {
        let control: &mut dyn Control = command.control.as_mut();
        return vec![match &command.task {
            Task::Plan(input) => engine
                .plan(input, control)
                .map(|made| Made::Plan(Box::new(made))),
            Task::Render(input) => engine.render(input, control).map(Made::Picture),
            Task::Critique(input) => engine.critique(input, control).map(Made::Review),
        }];
    }
    let mut drawings = Vec::new();
    let mut plans = Vec::new();
    let mut controls: Vec<&mut dyn Control> = Vec::with_capacity(turn.len());
    for command in turn {
        match &command.task {
            Task::Render(input) => drawings.push(input.as_ref()),
            Task::Plan(input) => plans.push(input),
            Task::Critique(_) => continue,
        }
        controls.push(command.control.as_mut());
    }
    if plans.is_empty() {
        let made = engine.render_batch(&drawings, &mut controls).into_iter();
        return made.map(|made| made.map(Made::Picture)).collect();
    }
    let made = engine.plan_batch(&plans, &mut controls).into_iter();
    made.map(|made| made.map(|made| Made::Plan(Box::new(made))))
        .collect()
}

impl Command {
    /// Whether both can be computed at once.
    fn goes_with(&self, other: &Self) -> bool {
        if self.control.alone() || other.control.alone() {
            return false;
        }
        match (&self.task, &other.task) {
            (Task::Plan(_), Task::Plan(_)) => true,
            (Task::Render(one), Task::Render(two)) => {
                one.shape().is_some_and(|shape| two.shape() == Some(shape))
            }
            _ => false,
        }
    }

    /// Most of its kind at once.
    const fn most(&self, about: &About) -> usize {
        match self.task {
            Task::Plan(_) => about.plans,
            Task::Render(_) => about.batch,
            Task::Critique(_) => 1,
        }
    }

    fn answer(self, done: Done) {
        // Nobody waits for a task that was stopped before its turn.
        let _ = self.answer.send(done);
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "without words".into())
}

#[cfg(test)]
mod tests;
