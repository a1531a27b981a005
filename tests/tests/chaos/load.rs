//! The users: they submit, repeat what nobody answered, follow, cancel, and write down what they were told.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use atelier_proto::{
    RequestId,
    http::{Event, RequestView},
};
use atelier_tests::Api;
use reqwest::StatusCode;
use tokio::{sync::watch, task::JoinSet};

use crate::{
    ledger::{Cancel, Ledger},
    wishes::{Wish, tenant_of},
};

/// Wait before something is tried again.
const AGAIN: Duration = Duration::from_millis(150);

/// The users of a run. Clones share what they know.
#[derive(Clone)]
pub struct Users {
    /// Clients of every tenant, of each coordinator.
    apis: Vec<Vec<Api>>,
    /// What they were told.
    pub ledger: Arc<Ledger>,
    /// True once they must not try again.
    over: watch::Receiver<bool>,
}

/// Why a submit was not acknowledged.
enum Unanswered {
    /// Somebody may have taken it.
    Unknown,
    /// It was refused for good.
    Refused(String),
}

impl Users {
    /// Users of the coordinators behind `apis`, who give up when `over` becomes true.
    pub fn new(apis: Vec<Vec<Api>>, over: watch::Receiver<bool>) -> Self {
        Self {
            apis,
            ledger: Arc::default(),
            over,
        }
    }

    /// Submits every wish at its time since `start`; returns when all were told what became of it.
    pub async fn run(&self, start: Instant, wishes: Vec<Wish>) {
        let mut users = JoinSet::new();
        for wish in wishes {
            tokio::time::sleep_until((start + wish.at).into()).await;
            let user = self.clone();
            users.spawn(async move { user.one(wish).await });
        }
        users.join_all().await;
    }

    /// Everything that one user does about one wish.
    pub async fn one(&self, wish: Wish) {
        let Some((wish, id)) = self.acknowledged(wish).await else {
            return;
        };
        let again = async {
            if let Some(wait) = wish.again {
                tokio::time::sleep(wait).await;
                let other = Wish {
                    first: wish.first + 1,
                    ..wish.clone()
                };
                self.acknowledged(other).await;
            }
        };
        let cancel = async {
            if let Some(wait) = wish.cancel {
                tokio::time::sleep(wait).await;
                self.cancel(wish.number, id, wish.first).await;
            }
        };
        let follow = async {
            if wish.watched {
                self.follow(wish.number, id, wish.first).await;
            }
        };
        tokio::join!(again, cancel, follow);
    }

    /// Submits until somebody answers. Without a key it is another wish that is submitted after the first try.
    async fn acknowledged(&self, mut wish: Wish) -> Option<(Wish, RequestId)> {
        let mut turn = wish.first;
        loop {
            let twin = async {
                // At the same time at the other coordinator, before anybody knows of it.
                match wish.again {
                    Some(Duration::ZERO) => Some(self.submit(&wish, turn + 1).await),
                    _ => None,
                }
            };
            let (answer, twin) = tokio::join!(self.submit(&wish, turn), twin);
            let mut refused = None;
            let mut known = None;
            for answer in [Some(answer), twin].into_iter().flatten() {
                match answer {
                    Ok(view) => {
                        self.ledger
                            .note(wish.number, |entry| entry.ids.extend([view.id]));
                        known = Some(view.id);
                    }
                    Err(Unanswered::Refused(why)) => refused = Some(why),
                    Err(Unanswered::Unknown) => {}
                }
            }
            if let Some(why) = refused {
                self.ledger
                    .complain(format!("number {} was refused: {why}", wish.number));
                return None;
            }
            if let Some(id) = known {
                return Some((wish, id));
            }
            if wish.key.is_none() {
                wish = wish.in_place();
            }
            if *self.over.borrow() {
                self.ledger
                    .complain(format!("number {} was never acknowledged", wish.number));
                return None;
            }
            turn += 1;
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn submit(&self, wish: &Wish, turn: usize) -> Result<RequestView, Unanswered> {
        let posted =
            self.api(wish.number, turn)
                .post("/v1/requests", &wish.request, wish.key.as_deref());
        let answer = posted.await.map_err(|_| Unanswered::Unknown)?;
        let status = answer.status();
        if status.is_success() {
            // An answer that breaks off is none.
            return answer.json().await.map_err(|_| Unanswered::Unknown);
        }
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(Unanswered::Unknown);
        }
        let body = answer.text().await.unwrap_or_default();
        Err(Unanswered::Refused(format!("{status}: {body}")))
    }

    /// Cancels until somebody answers.
    async fn cancel(&self, number: u32, id: RequestId, mut turn: usize) {
        while !*self.over.borrow() {
            let sent = Instant::now();
            if let Ok(view) = self.api(number, turn).cancel(id).await {
                let acknowledged = Instant::now();
                self.ledger.note(number, |entry| {
                    entry.cancel = Some(Cancel {
                        sent,
                        acknowledged,
                        view,
                    });
                });
                return;
            }
            turn += 1;
            tokio::time::sleep(AGAIN).await;
        }
        self.ledger.complain(format!(
            "the cancel of number {number} was never acknowledged"
        ));
    }

    /// Follows the events of a request up to its end; goes to the other coordinator when a stream breaks off.
    async fn follow(&self, number: u32, id: RequestId, mut turn: usize) {
        while !*self.over.borrow() {
            if self.follow_once(number, id, turn).await.unwrap_or(false) {
                return;
            }
            turn += 1;
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Follows one stream; says whether it told the end.
    async fn follow_once(&self, number: u32, id: RequestId, turn: usize) -> Result<bool> {
        let mut stream = self.api(number, turn).events(id).await?;
        if !stream.status().is_success() {
            bail!("{}", stream.status());
        }
        let mut over = self.over.clone();
        let mut text = Vec::new();
        let mut ended = false;
        loop {
            let chunk = tokio::select! {
                chunk = stream.chunk() => chunk,
                _ = over.wait_for(|over| *over) => return Ok(ended),
            };
            // A stream that breaks off after the end has told it.
            let Ok(Some(chunk)) = chunk else {
                return Ok(ended);
            };
            text.extend_from_slice(&chunk);
            while let Some(end) = text.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = text.drain(..=end).collect();
                let Some(data) = line.strip_prefix(b"data:") else {
                    continue;
                };
                let Event::Request { request } = serde_json::from_slice(data)? else {
                    continue;
                };
                if !request.state.is_terminal() {
                    continue;
                }
                self.ledger.note(number, |entry| {
                    entry.told_twice |= ended;
                    entry.ends.push(*request);
                });
                ended = true;
            }
        }
    }

    /// A coordinator, with the key of the tenant of this number.
    fn api(&self, number: u32, turn: usize) -> &Api {
        let coordinators = &self.apis[tenant_of(number)];
        &coordinators[turn % coordinators.len()]
    }
}
