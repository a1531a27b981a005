//! A journal of the objects that were written lately, so that making many of them durable takes one sync of one file.
//!
//! An object is in its own file when its write returns, but that file is durable only some seconds later. Until then its bytes are here, too, and
//! whoever opens the store after a loss of power puts them back first ([`recover`]). Each process has a journal of its own and holds its lock;
//! one that nobody holds is left from a process that was killed.
//!
//! The file has two halves of fixed length. When one is full the file system is told to write everything down, which it does while the other half is
//! filled; then the first may be overwritten. A batch is a run of records, filled up to whole pages, so that no page is written twice:
//! `magic, generation, length of key, length of bytes, key, bytes`. Records that are torn or of an older generation end a half.

use std::{
    fs::{self, File},
    hash::{BuildHasher, Hasher, RandomState},
    io::{self, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    thread::JoinHandle,
};

use atelier_proto::object_key;

use super::{super::digest, writer};

/// Folder of the journals in the store.
const FOLDER: &str = "journal";
/// What only one process may do at a time: to recover, and to begin a journal.
const LOCK: &str = "lock";
const HALF: u64 = 16 << 20;
const PAGE: usize = 4096;
const MAGIC: [u8; 8] = *b"ATLJRNL1";
const HEADER: usize = 8 + 8 + 2 + 4;

/// The journal of this process. Removed when it is dropped.
#[derive(Debug)]
pub(super) struct Journal {
    root: PathBuf,
    path: PathBuf,
    file: File,
    /// Where the next batch goes: the half, and the place in it.
    half: u64,
    place: u64,
    generation: u64,
    /// Writes down what the other half holds.
    cleaning: Option<JoinHandle<io::Result<()>>>,
    batch: Vec<u8>,
}

impl Journal {
    /// A new one for the objects under `root`.
    pub fn create(root: &Path) -> io::Result<Self> {
        let folder = root.join(FOLDER);
        fs::create_dir_all(&folder)?;
        // Nobody must take it for one that was left before it is locked.
        let _alone = lock(&folder)?;
        let number = RandomState::new().build_hasher().finish();
        let path = folder.join(format!("{number:016x}.log"));
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        if let Err(error) = prepare(&folder, root, &file) {
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        Ok(Self {
            root: root.to_owned(),
            path,
            file,
            half: 0,
            place: 0,
            generation: 1,
            cleaning: None,
            batch: Vec::new(),
        })
    }

    /// Makes objects durable, given by key and bytes. After an error the journal must not be used any more.
    pub fn append<'a>(
        &mut self,
        objects: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> io::Result<()> {
        let mut batch = std::mem::take(&mut self.batch);
        batch.clear();
        let mut generation_at = Vec::new();
        for (key, bytes) in objects {
            generation_at.push(batch.len() + MAGIC.len());
            record(&mut batch, key, bytes)?;
        }
        batch.resize(batch.len().next_multiple_of(PAGE), 0);
        let length = batch.len() as u64;
        if length > HALF {
            return Err(io::Error::other("a batch is larger than the journal"));
        }
        if self.place + length > HALF {
            self.turn()?;
        }
        for at in generation_at {
            batch[at..at + 8].copy_from_slice(&self.generation.to_le_bytes());
        }
        self.file
            .write_all_at(&batch, self.half * HALF + self.place)?;
        self.file.sync_data()?;
        self.place += length;
        self.batch = batch;
        Ok(())
    }

    /// Goes on in the other half, once nothing depends on what it holds.
    fn turn(&mut self) -> io::Result<()> {
        if let Some(cleaning) = self.cleaning.take() {
            cleaning
                .join()
                .map_err(|_| io::Error::other("writing the objects down panicked"))??;
        }
        let root = self.root.clone();
        self.cleaning = Some(std::thread::spawn(move || write_down(&root)));
        self.half = 1 - self.half;
        self.place = 0;
        self.generation += 1;
        Ok(())
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let cleaned = self.cleaning.take().is_none_or(|cleaning| {
            let ended = cleaning.join();
            ended.is_ok_and(|written| written.is_ok())
        });
        // One that is left is recovered by the next who opens the store.
        if cleaned && write_down(&self.root).is_ok() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Takes the lock of a new journal and gives it its full length.
fn prepare(folder: &Path, root: &Path, file: &File) -> io::Result<()> {
    file.lock()?;
    // Written in full, so that a sync later has no length and no place on the disk to note down.
    let zeros = vec![0; HALF as usize];
    file.write_all_at(&zeros, 0)?;
    file.write_all_at(&zeros, HALF)?;
    file.sync_all()?;
    File::open(folder)?.sync_all()?;
    File::open(root)?.sync_all()
}

/// Puts back what journals hold that were left. Nobody may read the store before.
pub(in super::super) fn recover(root: &Path) -> io::Result<()> {
    let folder = root.join(FOLDER);
    if logs(&folder)?.is_empty() {
        return Ok(());
    }
    // Who comes second waits until the first is done.
    let _alone = lock(&folder)?;
    for path in logs(&folder)? {
        let file = match File::options().read(true).write(true).open(&path) {
            // Its process has ended well meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file?,
        };
        if file.try_lock().is_err() {
            // Its process lives, and so do the files that it wrote.
            continue;
        }
        let (read, restored) = replay(root, &file)?;
        if restored > 0 {
            tracing::warn!(
                read,
                restored,
                "restored objects that were lost with the power"
            );
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The journals in a folder; none when there is no such folder.
fn logs(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    Ok(paths)
}

fn lock(folder: &Path) -> io::Result<File> {
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(folder.join(LOCK))?;
    file.lock()?;
    Ok(file)
}

/// Returns how many objects a journal holds, and how many of them were not in their files.
fn replay(root: &Path, file: &File) -> io::Result<(u64, u64)> {
    let mut bytes = Vec::new();
    file.take(2 * HALF).read_to_end(&mut bytes)?;
    let (mut read, mut restored) = (0, 0);
    for half in bytes.chunks(HALF as usize) {
        for (key, object) in records(half) {
            read += 1;
            let path = root.join(key);
            if !fs::read(&path).is_ok_and(|found| found == object) {
                restored += 1;
                writer::place(&path, object)?;
                writer::sync(&path)?;
            }
        }
    }
    Ok((read, restored))
}

/// Tells the file system to write down everything that it holds back.
fn write_down(root: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(root)?)?)
}

/// Adds a record to a batch; its generation is filled in later.
fn record(batch: &mut Vec<u8>, key: &str, bytes: &[u8]) -> io::Result<()> {
    let too_long = |_| io::Error::other("an object is too large for the journal");
    let key_length = u16::try_from(key.len()).map_err(too_long)?;
    let length = u32::try_from(bytes.len()).map_err(too_long)?;
    batch.extend(MAGIC);
    batch.extend(0_u64.to_le_bytes());
    batch.extend(key_length.to_le_bytes());
    batch.extend(length.to_le_bytes());
    batch.extend(key.as_bytes());
    batch.extend(bytes);
    Ok(())
}

/// The records of a half, as far as they are whole, of one generation, and what their names say.
fn records(half: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    let mut at = 0;
    let mut generation = None;
    std::iter::from_fn(move || {
        if !half.get(at..)?.starts_with(&MAGIC) {
            // The rest of the page is filling.
            at = at.next_multiple_of(PAGE);
        }
        let header = half.get(at..at + HEADER)?;
        let rest = header.strip_prefix(&MAGIC)?;
        let (found, rest) = rest.split_first_chunk::<8>()?;
        let (key_length, rest) = rest.split_first_chunk::<2>()?;
        let length = rest.first_chunk::<4>()?;
        if *generation.get_or_insert(*found) != *found {
            return None;
        }
        let key_at = at + HEADER;
        let bytes_at = key_at + usize::from(u16::from_le_bytes(*key_length));
        let end = bytes_at.checked_add(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        let key = str::from_utf8(half.get(key_at..bytes_at)?).ok()?;
        let bytes = half.get(bytes_at..end)?;
        // Also keeps every path inside the store.
        if object_key::artifact_of(key)? != digest(bytes) {
            return None;
        }
        at = end;
        Some((key, bytes))
    })
}

#[cfg(test)]
mod tests;
