//! One OS thread owns the engine and does one thing at a time. A panic there ends the engine, not the process at once: what it did is reported first.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use atelier_engine::{
    Control, CritiqueInput, Engine, EngineError, PlanInput, PlanOutput, RenderInput, RenderOutput,
};
use atelier_proto::{job::JobKind, review::Review};
use tokio::sync::{mpsc, oneshot};

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
}

/// What a task came to, and the time it took on the device.
pub type Done = (Result<Made, DeviceError>, Duration);

/// The attempt around a task.
pub trait Attended: Control + Send {
    /// The device begins with it when this returns.
    fn begin(&mut self);

    /// It is off the device, whatever came of it. Also called when it never began.
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
    /// Starts the thread and loads the engine on it.
    pub async fn start<E>(
        load: impl FnOnce() -> Result<Box<dyn Engine>, E> + Send + 'static,
    ) -> Result<(Self, About), E>
    where
        E: Send + From<std::io::Error> + 'static,
    {
        let (commands, inbox) = mpsc::channel(1);
        let (loaded, about) = oneshot::channel();
        std::thread::Builder::new()
            .name("device".into())
            .spawn(move || own(load, loaded, inbox))?;
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
        let gone = (Err(DeviceError::Gone), Duration::ZERO);
        if self.commands.send(command).await.is_err() {
            return gone;
        }
        done.await.unwrap_or(gone)
    }
}

fn own<E>(
    load: impl FnOnce() -> Result<Box<dyn Engine>, E>,
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
    let about = About {
        model: engine.model().to_owned(),
        device: engine.device(),
        roles: engine.roles(),
    };
    if loaded.send(Ok(about)).is_err() {
        return;
    }
    while let Some(mut command) = inbox.blocking_recv() {
        let _inside = command.span.enter();
        let start = Instant::now();
        // After a panic the engine is never used again, so that nobody sees it half done.
        let made = catch_unwind(AssertUnwindSafe(|| {
            compute(engine.as_mut(), command.task, command.control.as_mut())
        }));
        let took = start.elapsed();
        // Before the next one begins, so that nobody takes this one for it.
        command.control.end();
        match made {
            Ok(made) => drop(command.answer.send((made.map_err(Into::into), took))),
            Err(panic) => {
                let error = DeviceError::Panicked(words(panic.as_ref()));
                drop(command.answer.send((Err(error), took)));
                return;
            }
        }
    }
}

fn compute(
    engine: &mut dyn Engine,
    task: Task,
    control: &mut dyn Attended,
) -> Result<Made, EngineError> {
    if control.canceled() {
        return Err(EngineError::Canceled);
    }
    control.begin();
    match task {
        Task::Plan(input) => engine
            .plan(&input, control)
            .map(|made| Made::Plan(Box::new(made))),
        Task::Render(input) => engine.render(&input, control).map(Made::Picture),
        Task::Critique(input) => engine.critique(&input, control).map(Made::Review),
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
