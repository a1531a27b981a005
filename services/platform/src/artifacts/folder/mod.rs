//! Small objects of a local folder: written by one thread of its own, read by one visit to a blocking thread.
//!
//! The layout is that of `object_store`'s local folder, which does everything else with the same files.

mod journal;
mod writer;

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
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
        let read = tokio::task::spawn_blocking(move || read(&path, length)).await;
        read.map_err(io::Error::other)?
    }
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
