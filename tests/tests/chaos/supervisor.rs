//! Starts again what ended by itself, as systemd or Kubernetes would; nothing else helps the farm.

use std::{
    process::ExitStatus,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::farm::{Farm, worker_id};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// A program that ended by itself.
#[derive(Clone, Debug)]
pub struct Death {
    /// Its name.
    pub program: String,
    /// How it ended.
    pub status: ExitStatus,
}

/// Looks after coordinators and workers.
#[derive(Clone, Default)]
pub struct Supervisor {
    deaths: Arc<Mutex<Vec<Death>>>,
}

impl Supervisor {
    /// Runs until it is dropped.
    pub async fn run(self, farm: Arc<Farm>) {
        loop {
            for member in farm.coordinators.iter().chain(&farm.workers) {
                // Who is being struck is somebody else's business.
                let Ok(mut program) = member.try_lock() else {
                    continue;
                };
                if program.is_running() {
                    continue;
                }
                if let Ok(worker) = worker_id(&program) {
                    farm.note_died(worker);
                }
                if let Ok(status) = program.reap() {
                    let program = program.name().to_owned();
                    self.lock().push(Death { program, status });
                }
                if let Err(error) = program.launch(&[]) {
                    eprintln!("{} was not started again: {error:#}", program.name());
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Who ended by itself so far, and how.
    pub fn deaths(&self) -> Vec<Death> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Death>> {
        self.deaths.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
