//! From the URL of a store to the store.

use std::{path::PathBuf, sync::Arc, time::Duration};

use object_store::{
    ClientOptions, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    local::LocalFileSystem,
};

use super::{
    ArtifactError, Artifacts,
    damaged::Damaged,
    folder::{self, Folder},
};
use crate::telemetry::Latency;

pub(super) fn open(url: &str, variables: &[(String, String)]) -> Result<Artifacts, ArtifactError> {
    let bad = |reason: String| ArtifactError::Url {
        url: url.to_owned(),
        reason,
    };
    match url.split_once("://") {
        Some(("file", folder)) if folder.starts_with('/') => open_folder(PathBuf::from(folder)),
        Some(("file", _)) => Err(bad("a folder is given from the root on".into())),
        Some(("s3", bucket)) if !bucket.is_empty() && !bucket.contains('/') => {
            let store = open_bucket(bucket, variables).map_err(|error| bad(error.to_string()))?;
            Ok(Artifacts {
                signer: Some(store.clone()),
                store,
                folder: None,
                memory: None,
                damaged: Damaged::default(),
                latency: Latency::default(),
            })
        }
        Some(("s3", _)) => Err(bad("name one bucket and no path".into())),
        _ => Err(bad("it starts with neither file:// nor s3://".into())),
    }
}

fn open_folder(path: PathBuf) -> Result<Artifacts, ArtifactError> {
    let made = std::fs::create_dir_all(&path);
    let recovered = made.and_then(|()| folder::recover(&path));
    recovered.map_err(|source| ArtifactError::Folder {
        path: path.clone(),
        source,
    })?;
    // PostgreSQL names an artifact durably, so that its bytes must be as durable.
    let store = LocalFileSystem::new_with_prefix(&path)?.with_fsync(true);
    Ok(Artifacts {
        store: Arc::new(store),
        folder: Some(Folder::new(path)),
        signer: None,
        memory: None,
        damaged: Damaged::default(),
        latency: Latency::default(),
    })
}

/// Region, credentials, endpoint and `AWS_ALLOW_HTTP` come from the environment, as every S3 tool reads them; `variables` go before it.
fn open_bucket(
    bucket: &str,
    variables: &[(String, String)],
) -> Result<Arc<AmazonS3>, object_store::Error> {
    // Callers retry for as long as they hold a lease, so that a single call gives up soon.
    let retry = RetryConfig {
        max_retries: 3,
        retry_timeout: Duration::from_secs(15),
        ..RetryConfig::default()
    };
    let allow_http = |key: &str| matches!(key, "true" | "1");
    const ALLOW_HTTP: &str = "AWS_ALLOW_HTTP";
    let given = variables.iter().find(|(name, _)| name == ALLOW_HTTP);
    let plain_http = given
        .map(|(_, value)| value.clone())
        .or_else(|| std::env::var(ALLOW_HTTP).ok())
        .is_some_and(|value| allow_http(&value));
    let options = ClientOptions::new()
        .with_timeout(Duration::from_secs(30))
        .with_connect_timeout(Duration::from_secs(5))
        .with_allow_http(plain_http);
    let known = variables.iter().filter_map(|(name, value)| {
        let key = name.to_ascii_lowercase().parse().ok()?;
        Some((key, value))
    });
    let store = known
        .fold(AmazonS3Builder::from_env(), |builder, (key, value)| {
            builder.with_config(key, value)
        })
        .with_bucket_name(bucket)
        .with_retry(retry)
        .with_client_options(options)
        .build()?;
    Ok(Arc::new(store))
}
