//! SeaweedFS as the S3 server of one test.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use atelier_cli::servers::{Parts, free_port, log_tail, spawn};
use object_store::{ObjectStore, ObjectStoreExt, aws::AmazonS3Builder, path::Path as Key};
use rustix::process::Signal;

use crate::base::PATIENCE;

const BUCKET: &str = "pictures";
/// The servers that it consists of, beside that for S3.
const INNER: [&str; 4] = ["master", "volume", "filer", "admin"];
/// Each server also takes the port so far above its own, for gRPC.
const GRPC: u16 = 10_000;

/// A running S3 server. Killed when dropped.
pub struct Seaweed {
    binary: PathBuf,
    folder: PathBuf,
    /// Those of [`INNER`], in that order.
    inner_ports: [u16; INNER.len()],
    port: u16,
    child: Child,
}

impl Seaweed {
    /// Starts it on `folder` and returns once a signed PUT works.
    pub async fn start(parts: &Parts, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let binary = parts.weed()?;
        let port = free_port(None)?;
        let mut inner_ports = [0; INNER.len()];
        for port in &mut inner_ports {
            *port = free_port(None)?;
        }
        let seaweed = Self {
            child: launch(&binary, folder, inner_ports, port)?,
            binary,
            folder: folder.to_owned(),
            inner_ports,
            port,
        };
        seaweed.ready().await?;
        Ok(seaweed)
    }

    /// Ends it with SIGKILL, as a crash does.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts it again on what it stored, at the same address, and returns once a signed PUT works.
    pub async fn start_again(&mut self) -> Result<()> {
        self.child = launch(&self.binary, &self.folder, self.inner_ports, self.port)?;
        self.ready().await
    }

    async fn ready(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = self.probe().await {
            ensure!(
                Instant::now() < deadline,
                "SeaweedFS was not ready: {error:#}\n{}",
                log_tail(&log_of(&self.folder))
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
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
        // No option puts these elsewhere, and it leaves them behind even at an end in order.
        let own = INNER.into_iter().zip(self.inner_ports);
        for (server, port) in own.chain([("s3", self.port)]) {
            let socket = format!("/tmp/seaweedfs-{server}-grpc-{}.sock", port + GRPC);
            let _ = fs::remove_file(socket);
        }
    }
}

fn log_of(folder: &Path) -> PathBuf {
    folder.join("server.log")
}

fn launch(
    binary: &Path,
    folder: &Path,
    inner_ports: [u16; INNER.len()],
    port: u16,
) -> Result<Child> {
    let output = fs::File::options()
        .create(true)
        .append(true)
        .open(log_of(folder))?;
    let mut command = Command::new(binary);
    command.args([
        "-logtostderr=true",
        "mini",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
    ]);
    command.arg(format!("-dir={}", folder.display()));
    for (server, port) in INNER.into_iter().zip(inner_ports) {
        command.arg(format!("-{server}.port={port}"));
    }
    for server in ["filer", "s3"] {
        let socket = folder.join(format!("{server}.sock"));
        // One is left behind by a server that was killed.
        let _ = fs::remove_file(&socket);
        command.arg(format!("-{server}.localSocket={}", socket.display()));
    }
    command
        .arg(format!("-s3.port={port}"))
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
    spawn(command, Signal::KILL).context("start SeaweedFS")
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
