//! What a model's files are called: one digest over everything that a kind of job is done with.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use atelier_proto::{Sha256, job::JobKind};
use sha2::{Digest, Sha256 as Hasher};

/// Folders within folders that are looked into.
const DEEPEST: usize = 8;
/// Most files of a model.
const MOST_FILES: usize = 100_000;
/// Bytes that are read at once.
const PIECE: usize = 1 << 20;

/// Digests by kind of job.
pub type Digests = Vec<(JobKind, Sha256)>;

/// The digest of each kind's files and folders. Every file is read once, whichever kinds it serves.
pub fn digests(parts: &[(JobKind, Vec<PathBuf>)]) -> io::Result<Digests> {
    let mut known = HashMap::new();
    parts
        .iter()
        .map(|(kind, parts)| Ok((*kind, of_parts(parts, &mut known)?)))
        .collect()
}

/// Over the contents of all parts in their order, with their names inside of folders; what the folders themselves are called does not matter.
fn of_parts(parts: &[PathBuf], known: &mut HashMap<PathBuf, Sha256>) -> io::Result<Sha256> {
    let mut whole = Hasher::new();
    for (number, part) in parts.iter().enumerate() {
        let mut files = Vec::new();
        list(part, DEEPEST, &mut files)?;
        files.sort();
        whole.update((number as u64).to_le_bytes());
        whole.update((files.len() as u64).to_le_bytes());
        for file in files {
            let digest = match known.get(&file) {
                Some(digest) => *digest,
                None => of_file(&file)?,
            };
            let name = file.strip_prefix(part).unwrap_or(&file);
            let name = name.as_os_str().as_encoded_bytes();
            whole.update((name.len() as u64).to_le_bytes());
            whole.update(name);
            whole.update(digest.0);
            known.insert(file, digest);
        }
    }
    Ok(Sha256(whole.finalize().into()))
}

/// The files of a folder and of those in it; a file is itself, and what does not exist is nothing.
fn list(path: &Path, deeper: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if files.len() >= MOST_FILES {
        return Err(io::Error::other(format!("more than {MOST_FILES} files")));
    }
    match fs::metadata(path) {
        Ok(about) if about.is_dir() && deeper > 0 => {
            for entry in fs::read_dir(path)? {
                list(&entry?.path(), deeper - 1, files)?;
            }
        }
        Ok(about) if about.is_file() => files.push(path.to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

fn of_file(path: &Path) -> io::Result<Sha256> {
    let mut file = File::open(path)?;
    let mut piece = vec![0; PIECE];
    let mut hasher = Hasher::new();
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(Sha256(hasher.finalize().into())),
            read => hasher.update(&piece[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;

    #[test]
    fn a_digest_follows_from_contents_and_names_and_not_from_where_they_are() {
        let root = tempfile::tempdir().unwrap();
        let model = |name: &str, weights: &[u8], file: &str| {
            let dir = root.path().join(name);
            fs::create_dir_all(dir.join("deep")).unwrap();
            fs::write(dir.join(file), weights).unwrap();
            fs::write(dir.join("deep/config.json"), b"{}").unwrap();
            dir
        };
        let digest = |dirs: &[PathBuf]| {
            let found = digests(&[(JobKind::Render, dirs.to_vec())]).unwrap();
            found[0].1
        };
        let one = model("one", b"weights", "a.safetensors");
        let same = model("two", b"weights", "a.safetensors");
        let other_bytes = model("three", b"Weights", "a.safetensors");
        let other_name = model("four", b"weights", "b.safetensors");
        assert_eq!(digest(from_ref(&one)), digest(from_ref(&same)));
        assert_ne!(digest(from_ref(&one)), digest(from_ref(&other_bytes)));
        assert_ne!(digest(from_ref(&one)), digest(&[other_name]));
        let swapped = digest(&[other_bytes.clone(), one.clone()]);
        assert_ne!(digest(&[one.clone(), other_bytes]), swapped);
        let missing = root.path().join("missing");
        assert_ne!(
            digest(&[missing.clone(), one.clone()]),
            digest(&[one.clone(), missing])
        );
        let file = one.join("a.safetensors");
        let both = digests(&[
            (JobKind::Plan, vec![file.clone()]),
            (JobKind::Render, vec![file]),
        ]);
        let both = both.unwrap();
        assert_eq!(both[0].1, both[1].1, "files are read once and told alike");
    }
}
