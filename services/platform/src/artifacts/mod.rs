//! The artifact store: immutable objects named by the SHA-256 of their bytes, in S3 or a local folder.

mod damaged;
mod folder;
mod memory;
mod open;
mod results;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use atelier_proto::{ArtifactRef, MediaType, Sha256, object_key};
use axum::http::Method;
use bytes::Bytes;
use damaged::Damaged;
use folder::{Durable, Folder};
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use memory::Memory;
use object_store::{
    Attribute, Attributes, ObjectStore, ObjectStoreExt, PutOptions, PutPayload, aws::AmazonS3,
    path::Path, signer::Signer,
};
pub use results::Pointer;
use sha2::Digest;

use crate::telemetry::{Latency, Metrics};

/// Largest artifact that is stored or read, in bytes.
pub const MAX_ARTIFACT_BYTES: u64 = 64 << 20;

/// The store. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Artifacts {
    store: Arc<dyn ObjectStore>,
    /// The same as a local folder, where it is one.
    folder: Option<Folder>,
    /// The same as an S3 bucket, where it is one.
    signer: Option<Arc<AmazonS3>>,
    /// What was stored or read last.
    memory: Option<Arc<Memory>>,
    /// What was read and is not what its name says.
    damaged: Damaged,
    /// How long the store takes.
    latency: Latency,
}

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The URL of the store is not understood.
    #[error("store URL {url:?}: {reason} (examples: file:///var/lib/atelier, s3://bucket)")]
    Url {
        /// The URL as given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The folder cannot be made, or what a loss of power left in it cannot be put back.
    #[error("folder {path:?} of the store: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// More bytes than are allowed.
    #[error("artifact of {bytes} bytes is over the limit of {limit}")]
    TooLarge {
        /// How many it has.
        bytes: u64,
        /// How many it may have.
        limit: u64,
    },
    /// No such object.
    #[error("artifact {0} is not in the store")]
    Missing(Sha256),
    /// The bytes are not those that the name stands for.
    #[error("artifact {sha256} is damaged in the store: {what}")]
    Damaged {
        /// Its name.
        sha256: Sha256,
        /// What differs.
        what: &'static str,
    },
    /// The store failed or cannot be reached; another try may do better.
    #[error("object store: {0}")]
    Store(#[from] object_store::Error),
}

/// One artifact as the store lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its key.
    pub key: String,
    /// Length in bytes.
    pub bytes: u64,
    /// When it was written, milliseconds since 1970.
    pub modified_unix_millis: i64,
}

impl Stored {
    fn of(meta: object_store::ObjectMeta) -> Self {
        Self {
            key: meta.location.to_string(),
            bytes: meta.size,
            modified_unix_millis: meta.last_modified.timestamp_millis(),
        }
    }

    /// The digest in its key; none of what is no artifact.
    pub fn sha256(&self) -> Option<Sha256> {
        object_key::artifact_of(&self.key)
    }
}

/// An object that is there already is written again when it is older than this, so that a sweep takes it for new.
pub const REFRESH: Duration = Duration::from_secs(3_600);

impl Artifacts {
    /// Opens `file:///folder` (made when missing) or `s3://bucket` (with the `AWS_*` variables of the environment).
    pub fn open(url: &str) -> Result<Self, ArtifactError> {
        open::open(url, &[])
    }

    /// The same with `AWS_*` variables that go before those of the environment.
    pub fn open_with(url: &str, variables: &[(String, String)]) -> Result<Self, ArtifactError> {
        open::open(url, variables)
    }

    /// The same store, which also keeps up to `bytes` of what is stored and read in memory, for whoever soon reads it again.
    pub fn remembering(self, bytes: usize) -> Self {
        Self {
            memory: Some(Arc::new(Memory::new(bytes))),
            ..self
        }
    }

    /// The same store, which says on `registry` how long it takes.
    pub fn measured(self, registry: &Metrics) -> Self {
        let help = "Seconds that the object store took, by operation and outcome: ok, missing, damaged or failed. What comes from memory is not counted.";
        Self {
            latency: Latency::new(registry, "object_store_seconds", help),
            ..self
        }
    }

    /// Stores `bytes` under the name of their digest, unless they are there already. When this returns they are durable. That they are there is
    /// believed of an object of this name and length, unless this store has read it and found it damaged: then it is written again.
    pub async fn put(
        &self,
        bytes: Bytes,
        media_type: MediaType,
    ) -> Result<ArtifactRef, ArtifactError> {
        let artifact = self.store(bytes.clone(), media_type, Durable::Now).await?;
        if let Some(memory) = &self.memory {
            memory.keep(artifact.sha256, &bytes);
        }
        Ok(artifact)
    }

    /// The same for what can be made again, as a trace can: a local folder may lose it with the power within some seconds.
    pub async fn put_derived(
        &self,
        bytes: Bytes,
        media_type: MediaType,
    ) -> Result<ArtifactRef, ArtifactError> {
        self.store(bytes, media_type, Durable::Soon).await
    }

    async fn store(
        &self,
        bytes: Bytes,
        media_type: MediaType,
        durable: Durable,
    ) -> Result<ArtifactRef, ArtifactError> {
        check_size(bytes.len() as u64, MAX_ARTIFACT_BYTES)?;
        let stored = self.put_bytes(bytes, media_type, durable);
        self.latency.of("put", outcome, stored).await
    }

    async fn put_bytes(
        &self,
        bytes: Bytes,
        media_type: MediaType,
        durable: Durable,
    ) -> Result<ArtifactRef, ArtifactError> {
        let artifact = describe(&bytes, media_type);
        if let Some(folder) = self.small(&artifact) {
            folder
                .write(key_of(&artifact), bytes, durable)
                .await
                .map_err(failed)?;
            return Ok(artifact);
        }
        let key = key_of(&artifact);
        let path = Path::from(key.as_str());
        if !self.damaged.holds(&key) && self.is_there(&path, artifact.bytes).await? {
            return Ok(artifact);
        }
        self.write(&path, bytes, media_type).await?;
        self.damaged.forget(&key);
        Ok(artifact)
    }

    /// Whether an object need not be written, as far as its name, length and age tell. A torn write would have another length.
    async fn is_there(&self, path: &Path, bytes: u64) -> Result<bool, ArtifactError> {
        match self.store.head(path).await {
            Ok(meta) => Ok(meta.size == bytes && is_young(meta.last_modified.into())),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads an artifact of at most `limit` bytes and compares it with its name.
    pub async fn get(&self, artifact: &ArtifactRef, limit: u64) -> Result<Bytes, ArtifactError> {
        check_size(artifact.bytes, limit.min(MAX_ARTIFACT_BYTES))?;
        let sha256 = artifact.sha256;
        let Some(memory) = &self.memory else {
            return self.read(artifact).await;
        };
        match memory.get(sha256) {
            Some(bytes) if bytes.len() as u64 == artifact.bytes => Ok(bytes),
            _ => {
                let bytes = self.read(artifact).await?;
                memory.keep(sha256, &bytes);
                Ok(bytes)
            }
        }
    }

    async fn read(&self, artifact: &ArtifactRef) -> Result<Bytes, ArtifactError> {
        let read = self.get_bytes(artifact);
        let read = self.latency.of("get", outcome, read).await;
        if let Err(ArtifactError::Damaged { .. }) = read {
            self.damaged.note(key_of(artifact));
        }
        read
    }

    async fn get_bytes(&self, artifact: &ArtifactRef) -> Result<Bytes, ArtifactError> {
        let sha256 = artifact.sha256;
        let damaged = |what| ArtifactError::Damaged { sha256, what };
        if let Some(folder) = self.small(artifact) {
            let read = folder
                .read(&key_of(artifact), artifact.bytes)
                .await
                .map_err(failed)?;
            let bytes = read.ok_or(ArtifactError::Missing(sha256))?;
            if bytes.len() as u64 != artifact.bytes {
                return Err(damaged("its length differs"));
            }
            if digest(&bytes) != sha256 {
                return Err(damaged("its digest differs"));
            }
            return Ok(bytes);
        }
        let found = match self.store.get(&path_of(artifact)).await {
            Err(object_store::Error::NotFound { .. }) => {
                return Err(ArtifactError::Missing(sha256));
            }
            found => found?,
        };
        // Before its body is read: a wrong object may be of any length.
        if found.meta.size != artifact.bytes {
            return Err(damaged("its length differs"));
        }
        let bytes = found.bytes().await?;
        if digest(&bytes) != sha256 {
            return Err(damaged("its digest differs"));
        }
        Ok(bytes)
    }

    /// Deletes an artifact; one that is not there is no error.
    pub async fn delete(&self, artifact: &ArtifactRef) -> Result<(), ArtifactError> {
        self.delete_key(path_of(artifact).as_ref()).await
    }

    /// Deletes what [`Self::list`] named; a key that is not there is no error.
    pub async fn delete_key(&self, key: &str) -> Result<(), ArtifactError> {
        let path = Path::from(key);
        let deleted = async {
            match self.store.delete(&path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(error.into()),
            }
        };
        self.latency.of("delete", outcome, deleted).await
    }

    /// Deletes an object unless it was written again since it was listed; says whether it did. A write in the very moment of the deletion is lost,
    /// as stores have no conditional delete.
    pub async fn delete_older(&self, stored: &Stored) -> Result<bool, ArtifactError> {
        let path = Path::from(stored.key.as_str());
        match self.store.head(&path).await {
            Ok(meta) if meta.last_modified.timestamp_millis() <= stored.modified_unix_millis => {
                self.delete_key(&stored.key).await?;
                Ok(true)
            }
            Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// A URL from which anybody can read the artifact for `valid`; none where the store signs no URLs. Whoever reads there has to compare the bytes
    /// with the digest himself.
    pub async fn presigned(
        &self,
        artifact: &ArtifactRef,
        valid: Duration,
    ) -> Result<Option<String>, ArtifactError> {
        let Some(signer) = &self.signer else {
            return Ok(None);
        };
        let path = path_of(artifact);
        let url = signer.signed_url(Method::GET, &path, valid).await?;
        Ok(Some(url.into()))
    }

    /// Every artifact of the store, in no particular order.
    pub fn list(&self) -> BoxStream<'static, Result<Stored, ArtifactError>> {
        let folder = Path::from(object_key::ARTIFACTS);
        self.store
            .list(Some(&folder))
            .map_ok(Stored::of)
            .map_err(ArtifactError::from)
            .boxed()
    }

    /// Writes, reads and deletes a small object: whether the store really works. `instance` names the asking process.
    pub async fn probe(&self, instance: &str) -> Result<(), ArtifactError> {
        let path = Path::from(object_key::probe(instance));
        let bytes = Bytes::copy_from_slice(instance.as_bytes());
        self.write(&path, bytes.clone(), MediaType::Json).await?;
        let found = self.store.get(&path).await?.bytes().await?;
        self.store.delete(&path).await?;
        if found == bytes {
            Ok(())
        } else {
            Err(ArtifactError::Damaged {
                sha256: digest(&bytes),
                what: "the probe reads back differently",
            })
        }
    }

    /// The folder, when this store is one and the artifact small.
    fn small(&self, artifact: &ArtifactRef) -> Option<&Folder> {
        let small = artifact.bytes <= folder::SMALL;
        self.folder.as_ref().filter(|_| small)
    }

    async fn write(
        &self,
        path: &Path,
        bytes: Bytes,
        media_type: MediaType,
    ) -> Result<(), ArtifactError> {
        let payload = PutPayload::from_bytes(bytes);
        let written = self
            .store
            .put_opts(path, payload.clone(), content_type(media_type))
            .await;
        match written {
            // A local folder keeps no content types.
            Err(
                object_store::Error::NotImplemented { .. }
                | object_store::Error::NotSupported { .. },
            ) => self.store.put(path, payload).await?,
            written => written?,
        };
        Ok(())
    }
}

/// The word that metrics have for how a call ended.
fn outcome<T>(result: &Result<T, ArtifactError>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(ArtifactError::Missing(_)) => "missing",
        Err(ArtifactError::Damaged { .. }) => "damaged",
        Err(_) => "failed",
    }
}

fn content_type(media_type: MediaType) -> PutOptions {
    let attributes = Attributes::from_iter([(Attribute::ContentType, media_type.as_str())]);
    PutOptions {
        attributes,
        ..PutOptions::default()
    }
}

/// Whether an object was written so lately that it need not be written again.
fn is_young(modified: SystemTime) -> bool {
    // From the future is young, too.
    modified.elapsed().is_ok_and(|age| age < REFRESH) || modified.elapsed().is_err()
}

/// What `bytes` are called.
pub fn describe(bytes: &[u8], media_type: MediaType) -> ArtifactRef {
    ArtifactRef {
        sha256: digest(bytes),
        bytes: bytes.len() as u64,
        media_type,
    }
}

/// SHA-256 of `bytes`.
pub fn digest(bytes: &[u8]) -> Sha256 {
    Sha256(sha2::Sha256::digest(bytes).into())
}

/// A folder's failure, for example a full disk, as that of any store.
fn failed(source: std::io::Error) -> ArtifactError {
    ArtifactError::Store(object_store::Error::Generic {
        store: "folder",
        source: source.into(),
    })
}

fn key_of(artifact: &ArtifactRef) -> String {
    object_key::artifact(artifact.sha256, artifact.media_type)
}

fn path_of(artifact: &ArtifactRef) -> Path {
    Path::from(key_of(artifact))
}

fn check_size(bytes: u64, limit: u64) -> Result<(), ArtifactError> {
    if bytes > limit {
        Err(ArtifactError::TooLarge { bytes, limit })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
