//! One thread that writes objects. What waits while it makes some durable goes into the next round together: one sync for all of them, however
//! many there are, and no thread for each.

use std::{
    fs::{self, File},
    hash::{BuildHasher, Hasher, RandomState},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::{Durable, journal::Journal};
use crate::inbox;

/// Most objects of one round.
const ROUND: usize = 32;

/// What is larger is made durable in its own file: writing it twice would take longer than another sync.
const MAX_LOGGED: usize = 1 << 16;

/// The way to the thread, which ends with it.
#[derive(Debug)]
pub(super) struct Writer {
    orders: mpsc::Sender<Order>,
}

struct Order {
    key: String,
    bytes: Bytes,
    durable: Durable,
    done: oneshot::Sender<io::Result<()>>,
}

impl Writer {
    /// Starts the thread for the objects under `root`.
    pub fn start(root: &Path) -> Self {
        let (orders, inbox) = mpsc::channel(ROUND);
        let root = root.to_owned();
        let thread = std::thread::Builder::new().name("objects".into());
        if let Err(error) = thread.spawn(move || run(&root, inbox)) {
            // Nobody receives now, so that every write says so.
            tracing::error!(%error, "no thread to write objects");
        }
        Self { orders }
    }

    /// Writes an object; when this returns it is there, and as durable as asked.
    pub async fn write(&self, key: String, bytes: Bytes, durable: Durable) -> io::Result<()> {
        let gone = || io::Error::other("the thread that writes objects is gone");
        let (done, answer) = oneshot::channel();
        let order = Order {
            key,
            bytes,
            durable,
            done,
        };
        self.orders.send(order).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

fn run(root: &Path, mut inbox: mpsc::Receiver<Order>) {
    let mut log = Log::Unopened;
    while let Some(first) = inbox::next(&mut inbox) {
        let mut round = vec![first];
        while round.len() < ROUND
            && let Ok(next) = inbox.try_recv()
        {
            round.push(next);
        }
        let mut written: Vec<_> = round
            .iter()
            .map(|order| place(&root.join(&order.key), &order.bytes))
            .collect();
        make_durable(root, &mut log, &round, &mut written);
        for (order, written) in round.into_iter().zip(written) {
            // Who does not wait any more may ask again.
            let _ = order.done.send(written);
        }
    }
}

/// Where objects are made durable together.
enum Log {
    /// Nothing was to be made durable yet.
    Unopened,
    Open(Journal),
    /// It cannot be had here, or failed: each object is made durable by itself.
    None,
}

impl Log {
    /// Makes objects durable; says whether it did.
    fn append<'a>(
        &mut self,
        root: &Path,
        objects: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> bool {
        let appended = match self {
            Self::None => return false,
            Self::Open(journal) => journal.append(objects),
            Self::Unopened => Journal::create(root).and_then(|mut journal| {
                journal.append(objects)?;
                *self = Self::Open(journal);
                Ok(())
            }),
        };
        if let Err(error) = &appended {
            tracing::warn!(%error, "no journal of objects: making each durable by itself from now on");
            *self = Self::None;
        }
        appended.is_ok()
    }
}

/// Makes what was written durable where that was asked for; a failure takes the place of the success in `written`.
fn make_durable(root: &Path, log: &mut Log, round: &[Order], written: &mut [io::Result<()>]) {
    let (logged, mut own): (Vec<usize>, Vec<usize>) = (0..round.len())
        .filter(|&at| round[at].durable == Durable::Now && written[at].is_ok())
        .partition(|&at| round[at].bytes.len() <= MAX_LOGGED);
    let objects = logged
        .iter()
        .map(|&at| (round[at].key.as_str(), round[at].bytes.as_ref()));
    if !logged.is_empty() && !log.append(root, objects) {
        own.extend(logged);
    }
    for at in own {
        written[at] = sync(&root.join(&round[at].key));
    }
}

/// Puts an object at its place, unless it is there. One that is new is written there: nobody knows its name before this returns, and what a killed
/// process leaves of it is found out by whoever comes with the same bytes.
pub(super) fn place(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let create = || File::options().write(true).create_new(true).open(path);
    let created = match (create(), path.parent()) {
        (Err(error), Some(folder)) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(folder)?;
            create()
        }
        (created, _) => created,
    };
    match created {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => replace(path, bytes),
        created => {
            let mut file = created?;
            file.write_all(bytes).inspect_err(|_| {
                // Only what this call made: somebody else may have put the whole object in its place.
                let _ = file.set_len(0);
            })
        }
    }
}

/// Puts an object where one of its name is, unless that is the same and young. Beside its place first, so that no reader ever sees half of it.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    /// Processes in containers may all have the same id; what one left when it was killed must not be in another's way.
    static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());
    let young = fs::metadata(path).is_ok_and(|meta| {
        meta.len() == bytes.len() as u64 && meta.modified().is_ok_and(super::super::is_young)
    });
    // Compared, because what was never acknowledged may have lost its bytes with the power.
    if young && fs::read(path).is_ok_and(|found| bytes == found) {
        return Ok(());
    }
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut beside = path.as_os_str().to_owned();
    // A name with `#` and a number is what object_store takes for an upload under way, and never lists.
    beside.push(format!("#{}{count:010}", *PROCESS));
    let beside = PathBuf::from(beside);
    let written = File::options()
        .write(true)
        .create_new(true)
        .open(&beside)?
        .write_all(bytes)
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

/// Makes an object durable: its bytes, its name, and the two folders above it, which may both be new.
pub(super) fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_data()?;
    for folder in path.ancestors().skip(1).take(3) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
