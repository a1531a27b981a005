//! `results.jsonl`: one line for every line of the batch that has ended, appended as it ends, sorted at the end.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use atelier_proto::{RequestId, review::Score};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::lines::Line;
use crate::{commands::files::write_whole, exit::Usage};

/// Name of the file.
pub const NAME: &str = "results.jsonl";
/// What the file is called once a new one took its place because some of its lines could not be read.
const ODD: &str = "results.jsonl.unread";
/// Name of the file that is locked while a batch writes into the folder.
const LOCK: &str = ".batch.lock";

/// How one line ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LineResult {
    /// Its number in the file, from 1.
    pub line: usize,
    /// Idempotency key it was sent with.
    pub key: String,
    /// `succeeded`, `failed`, `canceled`, or `refused` when the farm did not take it.
    pub state: String,
    /// The request it became.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<RequestId>,
    /// The seed everything derives from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Name of the picture in this folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    /// How it did in its critique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
    /// Why there is no picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was asked for.
    pub prompt: String,
}

/// How the whole batch went.
#[derive(Debug, Default)]
pub struct Tally {
    /// Lines that have a picture.
    pub succeeded: usize,
    /// Those of them that had it before this run.
    pub kept: usize,
    /// Numbers of those that have none.
    pub without: Vec<usize>,
}

/// The results in a folder; nobody else writes there meanwhile.
#[derive(Debug)]
pub struct Results {
    folder: PathBuf,
    file: File,
    known: BTreeMap<usize, LineResult>,
    _lock: File,
}

impl Results {
    /// Opens or makes the folder. The line that was being written when a run was killed is left out; a file that has
    /// others which are no results is kept beside the new one.
    pub fn open(folder: &Path) -> Result<Self> {
        let cannot = |what: &str| format!("cannot {what} {}", folder.display());
        fs::create_dir_all(folder).with_context(|| cannot("make the folder"))?;
        let lock = File::create(folder.join(LOCK)).with_context(|| cannot("write into"))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            let message = format!("another batch writes into {}", folder.display());
            return Err(Usage(message).into());
        }
        let path = folder.join(NAME);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            read => read.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let (known, odd) = parse(&bytes);
        if odd {
            write_whole(&folder.join(ODD), &bytes)?;
        }
        write_whole(&path, &lines(&known)?)?;
        let file = File::options()
            .append(true)
            .open(&path)
            .with_context(|| cannot("write into"))?;
        Ok(Self {
            folder: folder.to_owned(),
            file,
            known,
            _lock: lock,
        })
    }

    /// How this line, as it is now, ended in an earlier run.
    pub fn of(&self, line: &Line) -> Option<&LineResult> {
        self.known
            .get(&line.number)
            .filter(|result| result.key == line.key)
    }

    /// Whether this line has its picture from an earlier run.
    pub fn has_picture(&self, line: &Line) -> bool {
        let picture = self.of(line).and_then(|result| result.picture.as_ref());
        picture.is_some_and(|picture| self.folder.join(picture).is_file())
    }

    /// Appends the result of a line that has just ended, as one write. A line that had its picture keeps that word when
    /// the picture could not be had again.
    pub fn add(&mut self, result: LineResult) -> Result<()> {
        let known = self.known.get(&result.line);
        let had = known.is_some_and(|known| known.key == result.key && known.picture.is_some());
        if had && result.picture.is_none() {
            return Ok(());
        }
        let mut text = serde_json::to_vec(&result)?;
        text.push(b'\n');
        self.file
            .write_all(&text)
            .with_context(|| format!("cannot write {}", self.folder.join(NAME).display()))?;
        self.known.insert(result.line, result);
        Ok(())
    }

    /// Puts the lines into the order of the batch.
    pub fn sort(&self) -> Result<()> {
        write_whole(&self.folder.join(NAME), &lines(&self.known)?)
    }
}

/// The results in the file, the last of each line; and whether a whole line was none.
pub fn parse(bytes: &[u8]) -> (BTreeMap<usize, LineResult>, bool) {
    let (mut known, mut odd) = (BTreeMap::new(), false);
    for text in bytes.split_inclusive(|byte| *byte == b'\n') {
        match serde_json::from_slice::<LineResult>(text) {
            Ok(result) => {
                known.insert(result.line, result);
            }
            Err(_) => odd |= text.ends_with(b"\n") && !text.trim_ascii().is_empty(),
        }
    }
    (known, odd)
}

/// The text of the file.
pub fn lines(known: &BTreeMap<usize, LineResult>) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    for result in known.values() {
        serde_json::to_writer(&mut text, result)?;
        text.push(b'\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(line: usize, picture: Option<&str>) -> LineResult {
        LineResult {
            line,
            key: format!("key-{line}"),
            state: "succeeded".into(),
            id: None,
            seed: Some(u64::MAX),
            picture: picture.map(str::to_owned),
            score: None,
            reason: None,
            prompt: "a cat".into(),
        }
    }

    #[test]
    fn a_killed_run_leaves_what_was_whole() {
        let folder = tempfile::tempdir().unwrap();
        let mut results = Results::open(folder.path()).unwrap();
        results.add(result(2, Some("0002.png"))).unwrap();
        results.add(result(1, None)).unwrap();
        assert!(
            Results::open(folder.path()).unwrap_err().is::<Usage>(),
            "two at once"
        );
        drop(results);
        let file = folder.path().join(NAME);
        let mut text = fs::read_to_string(&file).unwrap();
        text.push_str("{\"line\":3,\"key\":\"ke");
        fs::write(&file, text).unwrap();

        let results = Results::open(folder.path()).unwrap();
        let body = serde_json::from_str("{\"prompt\":\"a cat\"}").unwrap();
        let line = |number, key: &str| Line {
            number,
            key: key.into(),
            body: serde_json::from_value(
                serde_json::to_value::<&atelier_proto::http::SubmitRequest>(&body).unwrap(),
            )
            .unwrap(),
        };
        assert_eq!(results.of(&line(1, "key-1")), Some(&result(1, None)));
        assert_eq!(results.of(&line(1, "changed")), None);
        assert_eq!(results.of(&line(3, "key-3")), None, "half a line is none");
        assert!(!results.has_picture(&line(2, "key-2")), "the file is gone");
        fs::write(folder.path().join("0002.png"), "").unwrap();
        assert!(results.has_picture(&line(2, "key-2")));
        let numbers: Vec<usize> = results.known.keys().copied().collect();
        assert_eq!(numbers, [1, 2]);
        assert!(!folder.path().join(ODD).exists());
    }

    #[test]
    fn what_cannot_be_read_is_never_wiped() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(NAME);
        let mut bytes = serde_json::to_vec(&result(1, Some("0001.png"))).unwrap();
        bytes.extend(b"\n\xff\xfe no text\n");
        fs::write(&file, &bytes).unwrap();
        let results = Results::open(folder.path()).unwrap();
        assert_eq!(results.known[&1], result(1, Some("0001.png")));
        assert_eq!(fs::read(folder.path().join(ODD)).unwrap(), bytes);
        drop(results);

        // A folder in its place cannot be read, by root neither.
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        let error = Results::open(folder.path()).unwrap_err();
        assert!(format!("{error:#}").contains("cannot read"), "{error:#}");
    }

    #[test]
    fn a_picture_that_cannot_be_had_again_leaves_the_result_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let mut results = Results::open(folder.path()).unwrap();
        results.add(result(1, Some("0001.png"))).unwrap();
        results.add(result(1, None)).unwrap();
        assert_eq!(results.known[&1], result(1, Some("0001.png")));
        let mut changed = result(1, None);
        changed.key = "changed".into();
        results.add(changed.clone()).unwrap();
        assert_eq!(results.known[&1], changed, "another request");
        let text = fs::read_to_string(folder.path().join(NAME)).unwrap();
        assert_eq!(text.lines().count(), 2);
    }
}
