//! Waiting for what must come.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks until `holds` says so, and fails when that takes longer than `limit`. What goes wrong on the way (a server that is down) is looked at again.
pub async fn in_time(
    what: &str,
    limit: Duration,
    mut holds: impl AsyncFnMut() -> Result<bool>,
) -> Result<()> {
    let deadline = Instant::now() + limit;
    loop {
        match holds().await {
            Ok(true) => return Ok(()),
            Err(error) if Instant::now() > deadline => {
                return Err(error.context(format!("{what}: not within {limit:?}")));
            }
            Ok(false) if Instant::now() > deadline => bail!("{what}: not within {limit:?}"),
            Ok(false) | Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
