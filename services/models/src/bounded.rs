//! Small files of checkpoints, read within bounds.

use std::{fs, path::Path};

/// Reads a file of at most `most` bytes; the words say what is wrong with it.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let size = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > most {
        return Err(format!("{size} bytes, at most {most} are read"));
    }
    fs::read(path).map_err(|error| error.to_string())
}
