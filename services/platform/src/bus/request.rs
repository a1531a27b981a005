//! Requests that wait for an answer.

use std::time::Duration;

use async_nats::{Request, client::RequestErrorKind};
use atelier_proto::{Envelope, decode};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::{Bus, BusError, outcome};

impl Bus {
    /// Sends an encoded message and waits for the answer, at most `patience`. Tells "nobody is there" from "no answer in time"; both may be tried
    /// again.
    pub async fn request<A: DeserializeOwned>(
        &self,
        subject: String,
        message: Bytes,
        patience: Duration,
    ) -> Result<Envelope<A>, BusError> {
        let request = Request::new().payload(message).timeout(Some(patience));
        let sent = async {
            let answer = self.client.send_request(subject.clone(), request).await;
            answer.map_err(|error| match error.kind() {
                RequestErrorKind::NoResponders => BusError::NoResponders(subject.clone()),
                RequestErrorKind::TimedOut => BusError::TimedOut(subject.clone()),
                _ => BusError::Client(error.to_string()),
            })
        };
        let answer = self.latency.of("report", outcome, sent).await?;
        decode(&answer.payload).map_err(|source| BusError::Answer { subject, source })
    }
}
