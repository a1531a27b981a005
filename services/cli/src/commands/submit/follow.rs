//! Watching a request to its end, over broken streams and restarts of the farm.

use std::time::{Duration, Instant};

use anyhow::Result;
use atelier_proto::http::{Event, RequestView};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    client::{Client, Refused},
    exit::Interrupted,
    show::Board,
};

/// How long the farm may be away before we stop waiting. The request itself waits for ever.
const PATIENCE: Duration = Duration::from_secs(120);
/// Pause between two tries to reach it.
const PAUSE: Duration = Duration::from_millis(300);

/// Shows progress until the request has ended. Ctrl-C stops the watching, not the request.
pub async fn to_the_end(client: &Client, view: RequestView, quiet: bool) -> Result<RequestView> {
    let id = view.id;
    let mut board = Board::new(quiet);
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    board.say(&format!("request {id}"));
    let result = tokio::select! {
        result = watch(client, view, &mut board) => result,
        _ = interrupt.recv() => Err(interrupted(id)),
        _ = terminate.recv() => Err(interrupted(id)),
    };
    board.finish();
    result
}

fn interrupted(id: atelier_proto::RequestId) -> anyhow::Error {
    Interrupted(format!(
        "; the request goes on: 'atelier download {id}' gets the picture, 'atelier cancel {id}' stops it"
    ))
    .into()
}

async fn watch(client: &Client, mut view: RequestView, board: &mut Board) -> Result<RequestView> {
    let mut lost_since = None;
    loop {
        board.update(&view);
        if view.state.is_terminal() {
            return Ok(view);
        }
        let before = view.clone();
        let result = stream(client, &mut view, board).await;
        if view != before {
            lost_since = None;
        }
        match result {
            Ok(()) => {}
            Err(error) if fatal(&error) => return Err(error),
            Err(error) => {
                let since = *lost_since.get_or_insert_with(|| {
                    board.say("the farm does not answer; the request waits there, trying again");
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
fn fatal(error: &anyhow::Error) -> bool {
    match error.downcast_ref::<Refused>() {
        Some(refused) => refused.status.is_client_error(),
        None => false,
    }
}

/// Follows one stream until it ends or the request does.
async fn stream(client: &Client, view: &mut RequestView, board: &mut Board) -> Result<()> {
    let mut events = client.events(view.id).await?;
    while let Some(event) = events.next().await? {
        match event {
            Event::Request { request } => {
                *view = *request;
                board.update(view);
                if view.state.is_terminal() {
                    return Ok(());
                }
            }
            Event::Progress {
                kind, step, total, ..
            } => board.step(kind, step, total),
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
            let status = reqwest::StatusCode::from_u16(status).unwrap();
            let message = String::new();
            Refused { status, message }.into()
        };
        assert!(fatal(&refused(404)));
        assert!(!fatal(&refused(503)));
        let away = Unreachable {
            server: String::new(),
            reason: String::new(),
            hint: String::new(),
        };
        assert!(!fatal(&away.into()));
    }
}
