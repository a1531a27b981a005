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
    format!("{ARTIFACTS}/{}/{digest}.{extension}", &digest[..2])
}

/// Key of the probe that readiness checks write and read.
pub fn probe(instance: &str) -> String {
    format!("probes/{instance}")
}
