//! Pointers from what work is made of to what came of it. They are no artifacts: nobody relies on them, they may be wrong, and any may be lost.

use atelier_proto::{MediaType, Sha256, object_key};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{ObjectStore, ObjectStoreExt, path::Path};

use super::{ArtifactError, Artifacts, Stored, is_young};

/// Longest pointer that is read, in bytes.
const LONGEST: u64 = 64 << 10;

/// A pointer as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// What it says, to be checked.
    pub bytes: Bytes,
    /// It was written lately, and need not be written again to be kept.
    pub young: bool,
}

impl Artifacts {
    /// The pointer under `key`; none when there is none or it is too long for one.
    pub async fn result(&self, key: Sha256) -> Result<Option<Pointer>, ArtifactError> {
        let found = match self.store.get(&path(key)).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            found => found?,
        };
        if found.meta.size > LONGEST {
            return Ok(None);
        }
        let young = is_young(found.meta.last_modified.into());
        let bytes = found.bytes().await?;
        Ok(Some(Pointer { bytes, young }))
    }

    /// Writes the pointer under `key`, in the place of one that is there.
    pub async fn put_result(&self, key: Sha256, bytes: Bytes) -> Result<(), ArtifactError> {
        self.write(&path(key), bytes, MediaType::Json).await
    }

    /// Every pointer of the store, in no particular order.
    pub fn list_results(&self) -> BoxStream<'static, Result<Stored, ArtifactError>> {
        let folder = Path::from(object_key::RESULTS);
        self.store
            .list(Some(&folder))
            .map_ok(Stored::of)
            .map_err(ArtifactError::from)
            .boxed()
    }
}

fn path(key: Sha256) -> Path {
    Path::from(object_key::result(key))
}
