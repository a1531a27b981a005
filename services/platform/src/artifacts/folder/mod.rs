//! Small objects of a local folder: written by one thread of its own, read at once where the system has them in memory and else by one visit to a
//! blocking thread.
//!
//! The layout is that of `object_store`'s local folder, which does everything else with the same files.

mod journal;
mod writer;

use std::{
    fs::File,
    io::{self, IoSliceMut, Read},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use rustix::{
    fs::{Mode, OFlags, ResolveFlags},
    io::{Errno, ReadWriteFlags},
};
use writer::Writer;

pub(super) use journal::recover;

/// What has at most so many bytes is handled here.
pub(super) const SMALL: u64 = 1 << 18;

/// A folder of objects. Clones share its writer.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    root: PathBuf,
    /// Started by the first write.
    writer: Arc<OnceLock<Writer>>,
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
        Self {
            root,
            writer: Arc::default(),
        }
    }

    /// Writes an object of at most [`SMALL`] bytes, unless one of this name and these bytes is there.
    pub async fn write(&self, key: String, bytes: Bytes, durable: Durable) -> io::Result<()> {
        let writer = self.writer.get_or_init(|| Writer::start(&self.root));
        writer.write(key, bytes, durable).await
    }

    /// Reads an object of `length` bytes; none when there is no such object. One of another length is not read whole.
    pub async fn read(&self, key: &str, length: u64) -> io::Result<Option<Bytes>> {
        let path = self.root.join(key);
        if let Some(bytes) = read_from_memory(&path, length) {
            return Ok(Some(bytes));
        }
        let read = tokio::task::spawn_blocking(move || read(&path, length)).await;
        read.map_err(io::Error::other)?
    }
}

/// An object of exactly `length` bytes, if the system has its name and its bytes in memory: what was written just now has not to be waited for,
/// and another thread would take longer to wake up. None in every other case, which says nothing about the object.
fn read_from_memory(path: &Path, length: u64) -> Option<Bytes> {
    let file = rustix::fs::openat2(
        rustix::fs::CWD,
        path,
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::CACHED,
    )
    .ok()?;
    let mut bytes = vec![0; usize::try_from(length).ok()? + 1];
    let mut into = [IoSliceMut::new(&mut bytes)];
    let read = match rustix::io::preadv2(&file, &mut into, 0, ReadWriteFlags::NOWAIT) {
        // A file system that is in memory as a whole need not know how to read without waiting.
        Err(Errno::OPNOTSUPP) if is_memory(&file) => rustix::io::preadv(&file, &mut into, 0),
        read => read,
    };
    let read = read.ok()?;
    bytes.truncate(read);
    (read as u64 == length).then(|| bytes.into())
}

/// Whether a file is on a tmpfs.
fn is_memory(file: &OwnedFd) -> bool {
    /// `TMPFS_MAGIC` of Linux' magic.h.
    const TMPFS: u64 = 0x0102_1994;
    rustix::fs::fstatfs(file).is_ok_and(|found| found.f_type as u64 == TMPFS)
}

fn read(path: &Path, length: u64) -> io::Result<Option<Bytes>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1);
    file.take(length + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes.into()))
}
