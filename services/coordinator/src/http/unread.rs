//! Bodies that nobody reads to their end. Who is refused on the way still sends, and a connection that is closed on that loses the answer: so the
//! rest is read and forgotten first, within bounds.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::{Body, BodyDataStream, Bytes, HttpBody},
    extract::Request,
    http::header::EXPECT,
    middleware::Next,
    response::Response,
};
use futures::{Stream, StreamExt, stream};

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
    let body = Arc::new(Mutex::new(body.into_data_stream()));
    let call = Request::from_parts(head, Body::from_stream(what_comes(body.clone())));
    let answer = next.run(call).await;
    if answer.status().is_client_error() {
        let mut rest = what_comes(body);
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

/// What comes of a body from now on, whoever has read of it before.
fn what_comes(
    body: Arc<Mutex<BodyDataStream>>,
) -> impl Stream<Item = Result<Bytes, axum::Error>> + Send {
    stream::poll_fn(move |context| {
        let mut body = body.lock().unwrap_or_else(PoisonError::into_inner);
        body.poll_next_unpin(context)
    })
}
