//! What the parts below the farm do at most on this machine: no farm is faster than what it stands on.

use std::{
    fs,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Result;
use async_nats::jetstream::{self, stream};
use futures::{StreamExt, future::try_join_all, stream as streams};
use sqlx::{Connection, Executor};

use crate::farm::Farm;

/// How long each is measured.
const TIME: Duration = Duration::from_millis(1_500);
/// Clients and messages at once.
const MANY: [usize; 2] = [32, 256];
/// Bytes of a message, as of a job with its payload.
const MESSAGE: usize = 2_000;

/// Measures all; names and events per second.
pub async fn measure(farm: &Farm) -> Result<Vec<(&'static str, f64)>> {
    eprintln!("bench: floors");
    let mut floors = vec![("fsync_per_s", fsyncs(farm.folder())?)];
    let mut database = farm.database().await?;
    database
        .execute("CREATE TABLE bench_floor (at timestamptz)")
        .await?;
    floors.push(("postgres_commits_per_s", commits(farm, 1).await?));
    floors.push((
        "postgres_commits_32_clients_per_s",
        commits(farm, MANY[0]).await?,
    ));
    database.execute("DROP TABLE bench_floor").await?;
    database.close().await?;
    floors.push(("jetstream_publish_ack_per_s", publishes(farm, 1).await?));
    floors.push((
        "jetstream_publish_ack_256_in_flight_per_s",
        publishes(farm, MANY[1]).await?,
    ));
    Ok(floors)
}

fn fsyncs(folder: &Path) -> Result<f64> {
    let file = folder.join("floor");
    let mut open = fs::File::create(&file)?;
    let (started, mut done) = (Instant::now(), 0);
    while started.elapsed() < TIME {
        open.write_all(&[7; 4_096])?;
        open.sync_data()?;
        done += 1;
    }
    let rate = f64::from(done) / started.elapsed().as_secs_f64();
    fs::remove_file(file)?;
    Ok(rate)
}

async fn commits(farm: &Farm, clients: usize) -> Result<f64> {
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(farm.database().await?);
    }
    let started = Instant::now();
    let counted = try_join_all(connections.into_iter().map(async |mut connection| {
        let mut done = 0_u32;
        while started.elapsed() < TIME {
            sqlx::query("INSERT INTO bench_floor VALUES (now())")
                .execute(&mut connection)
                .await?;
            done += 1;
        }
        connection.close().await?;
        Ok::<_, sqlx::Error>(done)
    }))
    .await?;
    Ok(f64::from(counted.iter().sum::<u32>()) / started.elapsed().as_secs_f64())
}

async fn publishes(farm: &Farm, in_flight: usize) -> Result<f64> {
    let jetstream = jetstream::new(async_nats::connect(&farm.nats_url).await?);
    let config = stream::Config {
        name: "FLOOR".into(),
        subjects: vec!["floor".into()],
        ..Default::default()
    };
    jetstream.create_stream(config).await?;
    let started = Instant::now();
    let done = streams::iter(0_u64..)
        .take_while(|_| std::future::ready(started.elapsed() < TIME))
        .map(|_| async {
            let taken = jetstream.publish("floor", vec![7; MESSAGE].into()).await?;
            taken.await.map(drop)
        })
        .buffer_unordered(in_flight)
        .fold(0_u32, |done, sent| {
            std::future::ready(done + u32::from(sent.is_ok()))
        })
        .await;
    let rate = f64::from(done) / started.elapsed().as_secs_f64();
    jetstream.delete_stream("FLOOR").await?;
    Ok(rate)
}
