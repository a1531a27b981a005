//! Every key in the object store. Nobody else builds a key.

use crate::{Sha256, artifact::MediaType};

/// Folder of all artifacts.
pub const ARTIFACTS: &str = "artifacts";

/// Key of an artifact: fanned out by the first two digits, so that no folder grows without bound.
pub fn artifact(sha256: Sha256, media_type: MediaType) -> String {
    let digest = sha256.to_string();
    let extension = match media_type {
        MediaType::Png => "png",
        MediaType::Json => "json",
    };
    [ARTIFACTS, "/", &digest[..2], "/", &digest, ".", extension].concat()
}

/// The digest in the key of an artifact; none of any other key.
pub fn artifact_of(key: &str) -> Option<Sha256> {
    let (folder, name) = key
        .strip_prefix(ARTIFACTS)?
        .strip_prefix('/')?
        .split_once('/')?;
    let (digest, extension) = name.split_once('.')?;
    let known = matches!(extension, "png" | "json") && digest.get(..2) == Some(folder);
    known.then(|| digest.parse().ok()).flatten()
}

/// Folder of the pointers from work to what came of it.
pub const RESULTS: &str = "results";

/// Key of the pointer to the result of the work with this digest.
pub fn result(work: Sha256) -> String {
    let digest = work.to_string();
    format!("{RESULTS}/{}/{digest}.json", &digest[..2])
}

/// Key of the probe that readiness checks write and read.
pub fn probe(instance: &str) -> String {
    format!("probes/{instance}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_comes_back_out_of_the_key_and_out_of_no_other() {
        let digest = Sha256([0xab; 32]);
        for media_type in [MediaType::Png, MediaType::Json] {
            assert_eq!(artifact_of(&artifact(digest, media_type)), Some(digest));
        }
        let key = artifact(digest, MediaType::Png);
        for other in [
            key.replacen("ab", "cd", 1),
            key.replace(".png", ".exe"),
            probe("x"),
            result(digest),
            "artifacts/".into(),
            String::new(),
        ] {
            assert_eq!(artifact_of(&other), None, "{other}");
        }
    }
}
