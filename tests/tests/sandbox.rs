//! The sandbox itself: what the other system tests stand on.

use anyhow::Result;
use atelier_tests::{Options, Sandbox};
use sqlx::Connection;

#[tokio::test]
async fn every_test_has_a_database_of_its_own() -> Result<()> {
    let (one, other) = (Sandbox::start().await?, Sandbox::start().await?);
    assert_ne!(one.database_url, other.database_url);
    for sandbox in [&one, &other] {
        let mut database = sandbox.database().await?;
        // Fails if the other one made it in the same database.
        sqlx::query("CREATE TABLE mine (id int)")
            .execute(&mut database)
            .await?;
        database.close().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_wiped_nats_comes_back_empty_at_the_same_address() -> Result<()> {
    let sandbox = Sandbox::with(Options {
        own_nats: true,
        ..Options::default()
    })
    .await?;
    let config = async_nats::jetstream::stream::Config {
        name: "KEPT".into(),
        subjects: vec!["kept.>".into()],
        ..Default::default()
    };
    let jetstream = async_nats::jetstream::new(async_nats::connect(&sandbox.nats_url).await?);
    jetstream.create_stream(config).await?;
    jetstream.publish("kept.one", "x".into()).await?.await?;
    sandbox.wipe_nats()?;
    let jetstream = async_nats::jetstream::new(async_nats::connect(&sandbox.nats_url).await?);
    let gone = jetstream.get_stream("KEPT").await;
    assert!(gone.is_err(), "the stream survived the wipe");
    Ok(())
}

#[tokio::test]
async fn seaweedfs_takes_objects() -> Result<()> {
    let sandbox = Sandbox::with(Options {
        s3: true,
        ..Options::default()
    })
    .await?;
    assert_eq!(sandbox.artifact_count().await?, 0);
    Ok(())
}
