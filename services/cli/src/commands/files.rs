//! Results as files: whole or not there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use atelier_proto::RequestId;

/// Writes a file beside its final place first, so that nobody finds half of it.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut half = path.as_os_str().to_owned();
    half.push(format!(".{}.half", std::process::id()));
    let half = PathBuf::from(half);
    fs::write(&half, bytes)
        .and_then(|()| fs::rename(&half, path))
        .inspect_err(|_| drop(fs::remove_file(&half)))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Where the picture of a request goes when nobody says: the end of an id is what differs most.
pub fn default_picture(id: RequestId) -> PathBuf {
    let id = id.to_string();
    PathBuf::from(format!("atelier-{}.png", &id[id.len() - 8..]))
}

/// Where the trace goes: beside the picture.
pub fn trace_beside(picture: &Path) -> PathBuf {
    picture.with_extension("trace.json")
}

/// `cat.png` as the picture with a number: `cat-2.png`.
pub fn numbered(picture: &Path, number: usize) -> PathBuf {
    let stem = picture.file_stem().unwrap_or_default().to_string_lossy();
    let name = match picture.extension() {
        Some(extension) => format!("{stem}-{number}.{}", extension.to_string_lossy()),
        None => format!("{stem}-{number}"),
    };
    picture.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_before_the_extension() {
        for (file, second) in [
            ("cat.png", "cat-2.png"),
            ("a.b/cat.big.png", "a.b/cat.big-2.png"),
            ("cat", "cat-2"),
        ] {
            assert_eq!(numbered(Path::new(file), 2), Path::new(second));
        }
    }

    #[test]
    fn a_file_is_whole_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("picture.png");
        write_whole(&file, b"one").unwrap();
        write_whole(&file, b"two").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert!(write_whole(&folder.path().join("no/folder"), b"x").is_err());
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "nothing is left lying about"
        );
        assert_eq!(
            trace_beside(&file),
            folder.path().join("picture.trace.json")
        );
    }
}
