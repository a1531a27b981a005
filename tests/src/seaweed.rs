//! SeaweedFS as the S3 server of one test.

use std::{
    fs,
    path::Path,
    process::{Child, Command},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use atelier_cli::servers::{Parts, free_port, log_tail, spawn};
use object_store::{ObjectStore, ObjectStoreExt, aws::AmazonS3Builder, path::Path as Key};
use rustix::process::Signal;

use crate::base::PATIENCE;

const BUCKET: &str = "pictures";

/// A running S3 server. Killed when dropped.
pub struct Seaweed {
    child: Child,
    port: u16,
}

impl Seaweed {
    /// Starts it on `folder` and returns once a signed PUT works.
    pub async fn start(parts: &Parts, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let log = folder.join("server.log");
        let output = fs::File::create(&log)?;
        let port = free_port(None)?;
        let mut command = Command::new(parts.weed()?);
        command.args([
            "-logtostderr=true",
            "mini",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
        ]);
        command.arg(format!("-dir={}", folder.display()));
        for server in ["master", "volume", "filer"] {
            // Each also takes the port 10,000 above, for gRPC.
            command.arg(format!("-{server}.port={}", free_port(None)?));
        }
        command
            .arg(format!("-s3.port={port}"))
            .arg(format!(
                "-filer.localSocket={}",
                folder.join("filer.sock").display()
            ))
            .arg(format!(
                "-s3.localSocket={}",
                folder.join("s3.sock").display()
            ))
            .args([
                "-admin.ui=false",
                "-webdav=false",
                "-master.telemetry=false",
            ])
            .args(["-s3.port.iceberg=0", "-s3.port.lance=0"])
            .arg(format!("-bucket={BUCKET}"))
            .envs(environment(port))
            .stdout(output.try_clone()?)
            .stderr(output);
        let child = spawn(command, Signal::KILL).context("start SeaweedFS")?;
        let seaweed = Self { child, port };
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = seaweed.probe().await {
            ensure!(
                Instant::now() < deadline,
                "SeaweedFS was not ready: {error:#}\n{}",
                log_tail(&log)
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(seaweed)
    }

    /// Its objects, to look at from outside of the farm.
    pub fn objects(&self) -> Result<impl ObjectStore> {
        let no_retry = object_store::RetryConfig {
            max_retries: 0,
            ..Default::default()
        };
        let builder = AmazonS3Builder::new()
            .with_bucket_name(BUCKET)
            .with_retry(no_retry);
        let known = environment(self.port)
            .into_iter()
            .filter_map(|(name, value)| {
                let key = name.to_ascii_lowercase().parse().ok()?;
                Some((key, value))
            });
        Ok(known
            .fold(builder, |builder, (key, value)| {
                builder.with_config(key, value)
            })
            .build()?)
    }

    async fn probe(&self) -> Result<()> {
        let key = Key::from("sandbox/probe");
        self.objects()?.put(&key, "ready".into()).await?;
        Ok(())
    }

    /// Where it listens on this machine.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What a program needs to use it through another port.
    pub fn environment_at(port: u16) -> Vec<(String, String)> {
        environment(port)
    }

    /// What a program needs to use it.
    pub fn environment(&self) -> Vec<(String, String)> {
        environment(self.port)
    }

    /// Where it is, as `--store-url` takes it.
    pub fn url(&self) -> String {
        format!("s3://{BUCKET}")
    }
}

impl Drop for Seaweed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn environment(port: u16) -> Vec<(String, String)> {
    [
        ("AWS_ACCESS_KEY_ID", "farm".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "farm-secret".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ENDPOINT", format!("http://127.0.0.1:{port}")),
        ("AWS_ALLOW_HTTP", "true".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
