//! The model of a farm on this machine: what it is called, and what its workers can do. Workers find the same when they load it; this program
//! does without libtorch, and so without their code.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::Result;
use atelier_proto::subject::token_of;
use serde::Deserialize;

use super::FarmOptions;
use crate::servers::Parts;

/// The model that is shipped.
const SHIPPED: &str = "atelier-mini";
/// What tests compute with has no folder.
const DOUBLE: &str = "double";
/// Most bytes that are read of a file.
const LONGEST: u64 = 64 << 10;

/// A model's folder as `up` needs to know it; what is wrong with it the workers say.
#[derive(Clone, Debug)]
pub struct Model {
    /// Name in subjects and traces, as its workers find it.
    pub name: String,
    /// Where it is.
    pub folder: PathBuf,
    /// It is laid out as diffusers does it, and brings its language model.
    pub is_pipeline: bool,
    /// Its workers can look at pictures.
    pub looks: bool,
}

#[derive(Deserialize)]
struct Manifest {
    name: String,
}

impl Model {
    /// The folder that was asked for, or the one that is shipped.
    pub fn find(parts: &Parts, options: &FarmOptions) -> Result<Self> {
        let folder = match &options.model {
            Some(folder) => folder.clone(),
            None => parts.model(SHIPPED)?,
        };
        let is_pipeline =
            folder.join("model_index.json").is_file() && !folder.join("model.json").exists();
        let has_critic = options.critic.is_some() || folder.join("critic/config.json").is_file();
        Ok(Self {
            name: match &*options.engine {
                DOUBLE => SHIPPED.to_owned(),
                _ => name(&folder, is_pipeline),
            },
            looks: has_critic || !is_pipeline,
            folder,
            is_pipeline,
        })
    }
}

fn name(folder: &Path, is_pipeline: bool) -> String {
    if is_pipeline {
        let full = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        return token_of(&full.file_name().unwrap_or_default().to_string_lossy());
    }
    manifest(&folder.join("model.json")).map_or_else(|| SHIPPED.to_owned(), |read| read.name)
}

fn manifest(file: &Path) -> Option<Manifest> {
    let mut bytes = Vec::new();
    let opened = File::open(file).ok()?;
    opened.take(LONGEST).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}
