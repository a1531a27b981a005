//! What may happen.

/// One thing that happens. Numbers pick from what there is, modulo how much there is; with nothing to pick from, nothing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Time passes.
    Wait {
        /// Milliseconds.
        ms: u64,
    },
    /// A user submits a request.
    Submit {
        /// Which kind of request.
        shape: usize,
    },
    /// A user cancels a request.
    Cancel {
        /// Which one.
        request: usize,
    },
    /// A coordinator marks a ready job; publishing it is a step of its own.
    Claim {
        /// Which coordinator.
        coordinator: usize,
        /// Which ready job.
        job: usize,
    },
    /// A coordinator publishes a job that it has marked.
    Publish {
        /// Which coordinator.
        coordinator: usize,
        /// Which of its marked jobs.
        claim: usize,
        /// How it goes.
        how: Publish,
    },
    /// A coordinator looks at the stream: makes it anew, notes what it has published, extends what queues, finds what is gone.
    Look {
        /// Which coordinator.
        coordinator: usize,
    },
    /// A coordinator looks at the leases.
    Reconcile {
        /// Which coordinator.
        coordinator: usize,
    },
    /// A coordinator is killed and starts again with what the database says.
    RestartCoordinator {
        /// Which coordinator.
        coordinator: usize,
    },
    /// The stream hands a message to a worker, for the first time or again.
    Deliver {
        /// Which worker.
        worker: usize,
        /// Which message.
        message: usize,
    },
    /// A worker says what it holds and which of it is on its device, and a coordinator hears it.
    Heartbeat {
        /// Which worker.
        worker: usize,
        /// Which of the jobs in its hands is on the device.
        device: usize,
    },
    /// A worker is done with a job: stores what it made and sends its report.
    Finish {
        /// Which worker.
        worker: usize,
        /// Which of the jobs in its hands.
        job: usize,
        /// How it went.
        ends: Ends,
    },
    /// A worker sends a report again that was not answered.
    Repeat {
        /// Which worker.
        worker: usize,
        /// Which of the jobs in its hands.
        job: usize,
    },
    /// A coordinator gets a report that is under way.
    Report {
        /// Which report.
        report: usize,
        /// What becomes of it.
        answer: Answer,
    },
    /// A worker is killed; another starts in its place.
    KillWorker {
        /// Which worker.
        worker: usize,
    },
    /// A message vanishes from the stream.
    DropMessage {
        /// Which message.
        message: usize,
    },
    /// The stream vanishes with everything in it.
    WipeStream,
}

/// How publishing goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publish {
    /// It is in the stream, and the coordinator knows where.
    Done,
    /// It is in the stream, but the acknowledgement got lost.
    Unconfirmed,
    /// It is not in the stream, and the coordinator believes that it is on its way: its lease has to run out.
    Vanished,
    /// It is not in the stream, and the coordinator gives it back.
    Refused,
}

/// How a job ends in a worker's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// It works out; a critique passes everything.
    Good,
    /// It works out; a critique finds something wrong.
    Poor,
    /// It fails.
    Failed {
        /// Whether another attempt may do better.
        retry: bool,
    },
    /// Something else was away for too long.
    Outage,
    /// It is given back undone.
    Returned,
}

/// What becomes of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is committed and the worker learns that.
    Heard,
    /// It is committed, but the answer gets lost.
    Unheard,
    /// It gets lost before anybody commits it.
    Lost,
    /// It is committed and answered, and a copy of it stays under way.
    Doubled,
}
