//! Bodies that nobody reads to their end. Who is refused on the way still sends, and a connection that is closed on that loses the answer: so the
//! rest is read and forgotten first, within bounds.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::{Body, HttpBody},
    extract::Request,
    http::header::EXPECT,
    middleware::Next,
    response::Response,
};
use futures::{StreamExt, stream};

/// Most bytes that are read for nothing.
const MOST: usize = 16 << 20;
/// How long they are waited for at most.
const LONGEST: Duration = Duration::from_secs(2);

/// Answers a call; of one that is refused the rest of the body first.
pub async fn forget(call: Request, next: Next) -> Response {
    // Who waits for leave to send has not sent anything.
    if call.body().is_end_stream() || call.headers().contains_key(EXPECT) {
        return next.run(call).await;
    }
    let (head, body) = call.into_parts();
    let rest = Arc::new(Mutex::new(body.into_data_stream()));
    let read = {
        let rest = rest.clone();
        move || {
            let rest = rest.clone();
            stream::poll_fn(move |context| {
                let mut rest = rest.lock().unwrap_or_else(PoisonError::into_inner);
                rest.poll_next_unpin(context)
            })
        }
    };
    let body = Body::from_stream(read());
    let answer = next.run(Request::from_parts(head, body)).await;
    if answer.status().is_client_error() {
        let mut rest = read();
        let mut left = MOST;
        let all = async {
            while let Some(Ok(bytes)) = rest.next().await
                && bytes.len() <= left
            {
                left -= bytes.len();
            }
        };
        // What comes after that is not waited for.
        let _ = tokio::time::timeout(LONGEST, all).await;
    }
    answer
}
