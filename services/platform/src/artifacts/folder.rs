//! Small objects of a local folder: one visit to a blocking thread each, instead of one a step.
//!
//! The layout is that of `object_store`'s local folder, which does everything else with the same files.

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

/// What has at most so many bytes is handled here.
pub(super) const SMALL: u64 = 1 << 18;

/// A folder of objects.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    root: PathBuf,
}

/// How durable an object is when its write returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durable {
    /// Survives the loss of power.
    Now,
    /// Survives the end of this process, and the loss of power some seconds later.
    Soon,
}

impl Folder {
    /// The folder at `root`.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Writes an object of at most [`SMALL`] bytes, unless one of this name and length is there.
    pub async fn write(&self, key: &str, bytes: Bytes, durable: Durable) -> io::Result<()> {
        let path = self.root.join(key);
        blocking(move || {
            let young = fs::metadata(&path).is_ok_and(|meta| {
                meta.len() == bytes.len() as u64 && meta.modified().is_ok_and(super::is_young)
            });
            // Compared, because what was never acknowledged may have lost its bytes with the power.
            let there = young && fs::read(&path).is_ok_and(|found| bytes == found);
            if there && durable == Durable::Soon {
                return Ok(());
            }
            if there {
                // It may have been written as durable only soon.
                File::open(&path)?.sync_data()?;
                return sync_folder(&path);
            }
            write(&path, &bytes, durable)
        })
        .await
    }

    /// Reads an object of `length` bytes; none when there is no such object. One of another length is not read whole.
    pub async fn read(&self, key: &str, length: u64) -> io::Result<Option<Bytes>> {
        use io::Read;
        let path = self.root.join(key);
        blocking(move || {
            let file = match File::open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                file => file?,
            };
            let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1);
            file.take(length + 1).read_to_end(&mut bytes)?;
            Ok(Some(bytes.into()))
        })
        .await
    }
}

/// Beside its place first, so that no reader ever sees half of it. Only what is acknowledged is named to readers.
fn write(path: &Path, bytes: &[u8], durable: Durable) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    /// Processes in containers may all have the same id; what one left when it was killed must not be in another's way.
    static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut beside = path.as_os_str().to_owned();
    // A name with `#` and a number is what object_store takes for an upload under way, and never lists.
    beside.push(format!("#{}{count:010}", *PROCESS));
    let beside = PathBuf::from(beside);
    let create = || File::options().write(true).create_new(true).open(&beside);
    let mut file = match create() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create_folders(path)?;
            create()?
        }
        file => file?,
    };
    let written = file
        .write_all(bytes)
        .and_then(|()| fs::rename(&beside, path));
    if let Err(error) = written {
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    match durable {
        // Bytes and name together: most file systems write both in one go then, and the second call finds nothing left to do.
        Durable::Now => file.sync_data().and_then(|()| sync_folder(path)),
        Durable::Soon => Ok(()),
    }
}

/// Makes the folder of `path`, durably.
fn create_folders(path: &Path) -> io::Result<()> {
    let Some(folder) = path.parent() else {
        return Ok(());
    };
    fs::create_dir_all(folder)?;
    // The two levels under the root may both be new.
    sync_folder(folder)?;
    folder.parent().map_or(Ok(()), sync_folder)
}

/// Makes the entry of `path` in its folder durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent()
        .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}
