//! What is done when, to whom and for how long: all of it follows from the seed.

use std::{fmt, str::FromStr, time::Duration};

use crate::draw::Draw;

/// Coordinators of the run.
pub const COORDINATORS: usize = 2;
/// Tenants of the run.
pub const TENANTS: usize = 2;
/// Workers of the run.
pub const WORKERS: usize = 3;
/// A silent worker is given up after this.
pub const LEASE: Duration = Duration::from_millis(1_500);
/// Load without faults at the start.
pub const WARM_UP: Duration = Duration::from_secs(2);
/// Between two faults, on average. Most take about as long, so that one or two are under way at any time.
pub const PACE: Duration = Duration::from_millis(1_800);

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $kind:ident = $word:literal,)*) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[doc = $doc])* $kind,)*
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The word for it in options, tables and JSON.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $word,)*
                }
            }
        }
    };
}

kinds! {
    /// SIGKILL, started again a moment later.
    KillCoordinator = "kill_coordinator",
    /// SIGKILL, started again a moment later.
    KillWorker = "kill_worker",
    /// SIGKILL; the streams are still there afterwards.
    KillNats = "kill_nats",
    /// SIGKILL of the postmaster and all its backends.
    KillPostgres = "kill_postgres",
    /// A fast shutdown and a start.
    RestartPostgres = "restart_postgres",
    /// SIGSTOP for longer than a lease.
    StopCoordinator = "stop_coordinator",
    /// SIGSTOP for longer than a lease.
    StopWorker = "stop_worker",
    /// SIGKILL of NATS, and its storage is deleted.
    WipeNats = "wipe_nats",
    /// The stream of jobs is deleted.
    DeleteStream = "delete_stream",
    /// The consumer of a role is deleted.
    DeleteConsumer = "delete_consumer",
    /// A job's message is published once more.
    DuplicateJob = "duplicate_job",
    /// A worker's report is sent once more.
    DuplicateReport = "duplicate_report",
    /// Messages of jobs are taken out of the stream.
    DropMessages = "drop_messages",
    /// Whatever a worker says is kept back for longer than a lease, then delivered.
    DelayResults = "delay_results",
    /// A worker's connection to NATS breaks.
    CutConnection = "cut_connection",
    /// SIGKILL; what it stored is still there afterwards.
    KillStore = "kill_store",
    /// The object store answers writes with 503.
    StoreRefuses = "store_refuses",
    /// The object store answers writes with 507: its disk is full.
    StoreFull = "store_full",
    /// The object store is slow.
    StoreSlow = "store_slow",
    /// The object store takes writes, but the connection breaks before it says so.
    StoreLosesAnswers = "store_loses_answers",
    /// A request whose render job kills every worker that takes it.
    PoisonJob = "poison_job",
}

impl Kind {
    /// How long it lasts, at least and at most.
    const fn lengths(self) -> (Duration, Duration) {
        let (from, to) = match self {
            Self::KillCoordinator | Self::KillWorker | Self::KillNats | Self::WipeNats => {
                (50, 1_200)
            }
            Self::KillPostgres | Self::RestartPostgres | Self::KillStore => (0, 1_000),
            // Longer than LEASE by so much that a lease really runs out.
            Self::StopCoordinator | Self::StopWorker | Self::DelayResults => (2_000, 3_000),
            Self::StoreRefuses | Self::StoreFull | Self::StoreSlow | Self::StoreLosesAnswers => {
                (800, 2_500)
            }
            _ => (0, 0),
        };
        (Duration::from_millis(from), Duration::from_millis(to))
    }

    /// How long after it a cancel may still not reach its worker at once; none when it never keeps one back.
    pub const fn delays_cancels(self) -> Option<Duration> {
        match self {
            // Until every connection stands again.
            Self::KillNats | Self::WipeNats | Self::CutConnection => Some(Duration::from_secs(3)),
            // A worker that starts afterwards has not heard it, and is told once it holds such a job.
            Self::KillWorker | Self::PoisonJob => Some(Duration::from_secs(2)),
            Self::KillCoordinator
            | Self::StopCoordinator
            | Self::KillPostgres
            | Self::RestartPostgres
            | Self::StopWorker
            | Self::DelayResults => Some(Duration::from_millis(500)),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|kind| kind.as_str() == word);
        found.copied().ok_or_else(|| {
            let all: Vec<_> = Self::ALL.iter().map(|kind| kind.as_str()).collect();
            format!("is none of {}", all.join(", "))
        })
    }
}

/// One fault to come.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// When, since the start of the load.
    pub at: Duration,
    /// What.
    pub kind: Kind,
    /// Which of several processes, messages or roles; taken modulo their number.
    pub victim: usize,
    /// How long it lasts.
    pub length: Duration,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:7.2} s  {:20}", self.at.as_secs_f64(), self.kind)?;
        write!(f, "  victim {:3}", self.victim)?;
        if !self.length.is_zero() {
            write!(f, "  for {:.2} s", self.length.as_secs_f64())?;
        }
        Ok(())
    }
}

/// Draws `count` faults of these kinds. Every kind comes once before any comes twice, and so on.
pub fn draw(seed: u64, count: u32, kinds: &[Kind]) -> Vec<Fault> {
    let mut draw = Draw::new(seed, 1);
    let mut bag = Vec::new();
    (0..count)
        .map(|number| {
            if bag.is_empty() {
                bag.extend_from_slice(kinds);
                draw.shuffle(&mut bag);
            }
            let kind = bag.pop().expect("filled above, from at least one kind");
            let (shortest, longest) = kind.lengths();
            Fault {
                at: WARM_UP + PACE * number + draw.time(Duration::ZERO, PACE),
                kind,
                victim: draw.below(1_000),
                length: draw.time(shortest, longest),
            }
        })
        .collect()
}

/// How long requests come in when there are `faults`: a little longer than the faults last.
pub fn load_time(faults: u32) -> Duration {
    WARM_UP + PACE * (faults + 1) + Duration::from_secs(1)
}
