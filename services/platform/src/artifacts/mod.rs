//! The artifact store: immutable objects named by the SHA-256 of their bytes, in S3 or a local folder.

mod open;

use std::{path::PathBuf, sync::Arc};

use atelier_proto::{ArtifactRef, MediaType, Sha256, object_key};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    Attribute, Attributes, ObjectStore, ObjectStoreExt, PutOptions, PutPayload, path::Path,
};
use sha2::Digest;

/// Largest artifact that is stored or read, in bytes.
pub const MAX_ARTIFACT_BYTES: u64 = 64 << 20;

/// The store. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Artifacts {
    store: Arc<dyn ObjectStore>,
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
    /// The folder cannot be made.
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

impl Artifacts {
    /// Opens `file:///folder` (made when missing) or `s3://bucket` (with the `AWS_*` variables of the environment).
    pub fn open(url: &str) -> Result<Self, ArtifactError> {
        Ok(Self {
            store: open::open(url)?,
        })
    }

    /// Stores `bytes` under the name of their digest, unless they are there already. When this returns they are durable.
    pub async fn put(
        &self,
        bytes: Bytes,
        media_type: MediaType,
    ) -> Result<ArtifactRef, ArtifactError> {
        check_size(bytes.len() as u64, MAX_ARTIFACT_BYTES)?;
        let artifact = describe(&bytes, media_type);
        let path = path_of(&artifact);
        match self.store.head(&path).await {
            // A torn write would have another length; the same name and length is the same object.
            Ok(meta) if meta.size == artifact.bytes => return Ok(artifact),
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        self.write(&path, bytes, media_type).await?;
        Ok(artifact)
    }

    /// Reads an artifact of at most `limit` bytes and compares it with its name.
    pub async fn get(&self, artifact: &ArtifactRef, limit: u64) -> Result<Bytes, ArtifactError> {
        check_size(artifact.bytes, limit.min(MAX_ARTIFACT_BYTES))?;
        let sha256 = artifact.sha256;
        let damaged = |what| ArtifactError::Damaged { sha256, what };
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
        match self.store.delete(&Path::from(key)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Every artifact of the store, in no particular order.
    pub fn list(&self) -> BoxStream<'static, Result<Stored, ArtifactError>> {
        let folder = Path::from(object_key::ARTIFACTS);
        self.store
            .list(Some(&folder))
            .map_ok(|meta| Stored {
                key: meta.location.to_string(),
                bytes: meta.size,
                modified_unix_millis: meta.last_modified.timestamp_millis(),
            })
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

fn content_type(media_type: MediaType) -> PutOptions {
    let attributes = Attributes::from_iter([(Attribute::ContentType, media_type.as_str())]);
    PutOptions {
        attributes,
        ..PutOptions::default()
    }
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

fn path_of(artifact: &ArtifactRef) -> Path {
    Path::from(object_key::artifact(artifact.sha256, artifact.media_type))
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
