//! What a worker says of itself on its admin address.

use anyhow::Result;
use atelier_cli::servers::free_port;
use atelier_tests::{Sandbox, in_time};

use crate::desk::{Desk, PATIENCE, offer, plan_work};

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_ready_once_its_engine_has_made_something() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut desk = Desk::open(&sandbox).await?;
    let address = format!("127.0.0.1:{}", free_port(None)?);
    let _worker = sandbox.worker("worker", &["--admin-listen", &address])?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let status = async |path: &str| {
        let answer = client.get(format!("http://{address}{path}")).send().await?;
        Ok::<_, reqwest::Error>(answer.status().as_u16())
    };
    // The worker takes jobs before its admin address is bound.
    in_time("it listens", PATIENCE, async || {
        status("/healthz").await?;
        Ok(true)
    })
    .await?;
    assert_eq!(
        (status("/healthz").await?, status("/readyz").await?),
        (200, 503)
    );
    desk.offer(&offer(plan_work("a cat"))).await?;
    desk.report().await?;
    assert_eq!(
        (status("/healthz").await?, status("/readyz").await?),
        (200, 200)
    );
    desk.empty().await
}
