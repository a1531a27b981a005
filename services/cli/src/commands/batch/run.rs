//! Sends the lines, a few at a time, and takes what comes of them.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use atelier_proto::http::{RequestState, RequestView};
use indicatif::ProgressBar;
use reqwest::StatusCode;
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    lines::Line,
    results::{LineResult, Results, Tally},
};
use crate::{
    client::{Client, Refused, patiently},
    commands::{
        files::{trace_beside, write_whole},
        follow,
    },
    exit::{KEY, Unreachable, status},
    show::{self, Board},
};

/// How long the farm may be away before the batch gives up. What was sent goes on there.
const PATIENCE: Duration = Duration::from_secs(120);
/// First pause before a line is sent again, unless the farm says how long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause, whatever the farm says.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// One run over a file.
#[derive(Clone, Debug)]
pub struct Run {
    pub client: Client,
    pub folder: PathBuf,
    pub traces: bool,
    pub retry_failed: bool,
    /// Most lines that the farm has at a time.
    pub in_flight: usize,
    pub quiet: bool,
}

/// What a line tells on its way.
enum News {
    Ended(Box<LineResult>),
    /// It is sent again after so long, and why.
    Waits(&'static str, Duration),
}

/// A line that is to be sent, and how it ended before.
type Waiting = (Line, Option<LineResult>);

impl Run {
    /// Draws every line that has no picture yet.
    pub async fn all(&self, lines: Vec<Line>, results: &mut Results) -> Result<Tally> {
        let total = lines.len();
        let mut tally = Tally::default();
        let mut queue = VecDeque::new();
        for line in lines {
            let before = results.of(&line).cloned();
            if results.has_picture(&line) {
                tally.succeeded += 1;
                tally.kept += 1;
            } else {
                queue.push_back((line, before));
            }
        }
        let board = Board::new(self.quiet);
        let bar = board.total(total as u64);
        bar.set_position(tally.kept as u64);
        let (tell, mut heard) = mpsc::channel(self.in_flight);
        let senders = self.in_flight.min(queue.len());
        let queue = Arc::new(Mutex::new(queue));
        let mut running = JoinSet::new();
        for _ in 0..senders {
            running.spawn(self.clone().send_lines(Arc::clone(&queue), tell.clone()));
        }
        drop(tell);
        // Ends when every sender has: their tasks end with this call, whatever happens.
        while let Some(news) = heard.recv().await {
            match news {
                News::Waits(why, pause) => {
                    let words = format!("{why}: waiting for {} s", pause.as_secs());
                    if board.is_lines() {
                        board.say(&words);
                    }
                    bar.set_message(words);
                }
                News::Ended(result) => {
                    tell_line(&board, &bar, &result, total);
                    match result.picture {
                        Some(_) => tally.succeeded += 1,
                        None => tally.without.push(result.line),
                    }
                    bar.set_message(match tally.without.len() {
                        0 => String::new(),
                        without => format!("{without} without a picture"),
                    });
                    results.add(*result)?;
                }
            }
        }
        bar.abandon();
        while let Some(ended) = running.join_next().await {
            ended.context("lines were not sent")??;
        }
        tally.without.sort_unstable();
        Ok(tally)
    }

    /// Takes line after line until there are none.
    async fn send_lines(
        self,
        queue: Arc<Mutex<VecDeque<Waiting>>>,
        tell: mpsc::Sender<News>,
    ) -> Result<()> {
        let next = || {
            let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.pop_front()
        };
        while let Some((line, before)) = next() {
            let number = line.number;
            let result = self.one(line, before, &tell).await;
            let result = match result {
                Ok(result) => result,
                Err(error) => {
                    // The others stop as well: what is wrong for one is wrong for all.
                    queue.lock().unwrap_or_else(PoisonError::into_inner).clear();
                    return Err(error.context(format!("line {number}")));
                }
            };
            if tell.send(News::Ended(Box::new(result))).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// The way of one line. An error is one that the other lines would meet as well.
    async fn one(
        &self,
        line: Line,
        before: Option<LineResult>,
        tell: &mpsc::Sender<News>,
    ) -> Result<LineResult> {
        let view = match self.send(&line, before, tell).await {
            Ok(view) => view,
            Err(error) => return refused(line, error),
        };
        let mut lane = Board::new(true).lane(None);
        let view = follow::to_the_end(&self.client, view, &mut lane).await?;
        let mut result = LineResult {
            line: line.number,
            key: line.key,
            state: view.state.as_str().to_owned(),
            id: Some(view.id),
            seed: Some(view.seed),
            picture: None,
            score: view.score,
            reason: view.reason,
            prompt: line.body.prompt,
        };
        if view.state == RequestState::Succeeded {
            let name = format!("{:04}.png", line.number);
            let place = self.folder.join(&name);
            write_whole(
                &place,
                &patiently(|| self.client.image_to_keep(view.id)).await?,
            )?;
            if self.traces {
                let trace = patiently(|| self.client.trace(view.id)).await?;
                write_whole(&trace_beside(&place), &trace)?;
            }
            result.picture = Some(name);
        }
        Ok(result)
    }

    /// Sends a line until the farm takes it, or says why it never will. What it became in an earlier run is looked at
    /// instead: its key still names the first request of several, when it was tried again.
    async fn send(
        &self,
        line: &Line,
        before: Option<LineResult>,
        tell: &mpsc::Sender<News>,
    ) -> Result<RequestView> {
        let again = before
            .as_ref()
            .is_some_and(|result| self.retry_failed && result.picture.is_none());
        let mut known = before.and_then(|result| result.id);
        let (mut away_since, mut pause) = (None, FIRST_PAUSE);
        loop {
            let answer = match known {
                // A new key for each request that is tried again, the same whenever this line is.
                Some(id) if again => {
                    let key = format!("{}-after-{id}", line.key);
                    self.client.retry_once(id, &key).await
                }
                Some(id) => self.client.view(id).await,
                None => self.client.submit_once(&line.body, &line.key).await,
            };
            let error = match answer {
                Ok(view) => return Ok(view),
                Err(error) => error,
            };
            let (why, wait) = match error.downcast_ref::<Refused>() {
                // The farm keeps no request for ever.
                Some(refused) if refused.is_unknown() && known.is_some() => {
                    known = None;
                    continue;
                }
                Some(refused) if refused.is_passing() => {
                    away_since = None;
                    let why = match refused.status {
                        StatusCode::TOO_MANY_REQUESTS => "the farm is full",
                        _ => "the farm cannot take requests just now",
                    };
                    (why, refused.retry_after.unwrap_or(pause))
                }
                None if error.is::<Unreachable>() => {
                    let since = *away_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > PATIENCE {
                        return Err(error);
                    }
                    ("the farm does not answer", pause)
                }
                _ => return Err(error),
            };
            let wait = wait.clamp(FIRST_PAUSE, LONGEST_PAUSE);
            // Only a word on the board: nobody misses it.
            let _ = tell.try_send(News::Waits(why, wait));
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// A line that the farm does not take is a result; a farm that is away or a wrong key is not.
fn refused(line: Line, error: anyhow::Error) -> Result<LineResult> {
    if error.is::<Unreachable>() || status(&error) == KEY || !error.is::<Refused>() {
        return Err(error);
    }
    Ok(LineResult {
        line: line.number,
        key: line.key,
        state: "refused".into(),
        id: None,
        seed: line.body.seed,
        picture: None,
        score: None,
        reason: Some(show::line(&error.to_string())),
        prompt: line.body.prompt,
    })
}

fn tell_line(board: &Board, bar: &ProgressBar, result: &LineResult, total: usize) {
    bar.inc(1);
    let after = match (&result.picture, &result.reason) {
        (Some(picture), _) => format!(" {picture}"),
        (None, Some(reason)) => format!(": {reason}"),
        (None, None) => String::new(),
    };
    let words = format!("line {}: {}{after}", result.line, result.state);
    if board.is_lines() {
        board.say(&format!("{words} ({} of {total})", bar.position()));
    } else if result.picture.is_none() {
        board.say(&words);
    }
}
