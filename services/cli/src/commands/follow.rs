//! Watching a request to its end, over broken streams and restarts of the farm.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use anyhow::Result;
use atelier_proto::http::{Event, RequestView};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    client::{Client, Refused},
    exit::Interrupted,
    show::Lane,
};

/// How long the farm may be away before we stop waiting. The request itself waits for ever.
const PATIENCE: Duration = Duration::from_secs(120);
/// Pause between two tries to reach it.
const PAUSE: Duration = Duration::from_millis(300);

/// Does the work, unless Ctrl-C or SIGTERM comes first; `goes_on` says what becomes of it then.
pub async fn unless_interrupted<T>(
    work: impl Future<Output = Result<T>>,
    goes_on: &str,
) -> Result<T> {
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    let interrupted = || Err(Interrupted(goes_on.to_owned()).into());
    tokio::select! {
        result = work => result,
        _ = interrupt.recv() => interrupted(),
        _ = terminate.recv() => interrupted(),
    }
}

/// Shows progress until the request has ended.
pub async fn to_the_end(
    client: &Client,
    mut view: RequestView,
    lane: &mut Lane,
) -> Result<RequestView> {
    let mut lost_since = None;
    loop {
        lane.update(&view);
        if view.state.is_terminal() {
            return Ok(view);
        }
        match stream(client, &mut view, lane, &mut lost_since).await {
            Ok(()) => {}
            Err(error) if is_final(&error) => return Err(error),
            Err(error) => {
                let since = *lost_since.get_or_insert_with(|| {
                    lane.say("the farm does not answer; the request waits there, trying again");
                    Instant::now()
                });
                if since.elapsed() > PATIENCE {
                    return Err(error);
                }
            }
        }
        if !view.state.is_terminal() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// What asking again will not mend.
fn is_final(error: &anyhow::Error) -> bool {
    match error.downcast_ref::<Refused>() {
        Some(refused) => refused.status.is_client_error() && !refused.is_passing(),
        None => false,
    }
}

/// Follows one stream until it ends or the request does.
async fn stream(
    client: &Client,
    view: &mut RequestView,
    lane: &mut Lane,
    lost_since: &mut Option<Instant>,
) -> Result<()> {
    let mut events = client.events(view.id).await?;
    while let Some(event) = events.next().await? {
        *lost_since = None;
        match event {
            Event::Request { request } => {
                *view = *request;
                lane.update(view);
                if view.state.is_terminal() {
                    return Ok(());
                }
            }
            Event::Progress {
                kind,
                step,
                total,
                preview,
            } => lane.step(kind, step, total, preview.as_deref()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Unreachable;

    #[test]
    fn only_a_refusal_ends_the_watching() {
        let refused = |status: u16| -> anyhow::Error {
            Refused::new(reqwest::StatusCode::from_u16(status).unwrap(), "").into()
        };
        assert!(is_final(&refused(404)));
        assert!(is_final(&refused(401)));
        assert!(!is_final(&refused(429)));
        assert!(!is_final(&refused(503)));
        let away = Unreachable {
            url: String::new(),
            reason: String::new(),
            hint: String::new(),
            reached: false,
        };
        assert!(!is_final(&away.into()));
    }
}
