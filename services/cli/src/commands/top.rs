//! `atelier top`: what the farm does, live.

pub mod reading;

use std::{
    fmt::Write as _,
    io::{IsTerminal, stdout},
    process::ExitCode,
    time::{Duration, Instant},
};

use anstream::{AutoStream, ColorChoice};
use anyhow::Result;
use atelier_proto::http::RequestState;

use self::reading::{Counts, Reading};
use super::{follow::unless_interrupted, list, workers};
use crate::{
    client::{Client, FarmArgs, Wanted, is_passing},
    exit::Interrupted,
    show::{self, OutputArgs, Table},
};

/// Show queues, workers and throughput of the farm, live
///
/// Numbers of pictures are those that the coordinator which answers has ended since it started.
#[derive(clap::Args)]
pub struct Args {
    /// Look once and end
    #[arg(long)]
    once: bool,
    /// Seconds between two looks
    #[arg(long, value_name = "S", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    interval: u64,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    farm: FarmArgs,
}

/// Requests that are listed.
const NEWEST: u32 = 10;
/// The other screen of the terminal, without a cursor; and back.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l";
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";

/// Gives the terminal back, however it ends.
struct Screen;

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = show::print_raw(LEAVE.as_bytes());
    }
}

/// Looks again and again until Ctrl-C; once for a program that wants one document.
pub async fn run(args: Args) -> Result<ExitCode> {
    let client = args.farm.client()?;
    let mut last = look(&client, None).await?;
    if args.output.is_json() {
        args.output.print(&last)?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.once {
        show::print(&text(&last, &client, None))?;
        return Ok(ExitCode::SUCCESS);
    }
    // Not made where there is none: it would be left.
    let screen = stdout().is_terminal().then(|| Screen);
    if screen.is_some() {
        show::print_raw(ENTER.as_bytes())?;
    }
    let pause = Duration::from_secs(args.interval);
    let watching = look_on(&client, &mut last, pause, screen.is_some());
    match unless_interrupted(watching, "").await {
        // There is no other end.
        Err(error) if error.is::<Interrupted>() => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error),
        Ok(()) => Ok(ExitCode::SUCCESS),
    }
}

/// Looks and draws for ever. A farm that is away is looked for again.
async fn look_on(
    client: &Client,
    last: &mut Reading,
    pause: Duration,
    on_screen: bool,
) -> Result<()> {
    let mut trouble = None;
    loop {
        draw(&text(last, client, trouble), on_screen)?;
        tokio::time::sleep(pause).await;
        trouble = match look(client, Some(&*last)).await {
            Ok(reading) => {
                *last = reading;
                None
            }
            Err(error) if is_passing(&error) => Some("the farm does not answer; trying again"),
            Err(error) => return Err(error),
        };
    }
}

async fn look(client: &Client, before: Option<&Reading>) -> Result<Reading> {
    let active = Wanted {
        state: Some(RequestState::Active),
        limit: NEWEST,
        ..Wanted::default()
    };
    let (workers, list, metrics) =
        tokio::try_join!(client.workers(), client.list(active), client.metrics())?;
    let counts = Counts::read(&metrics);
    let at = Instant::now();
    Ok(Reading {
        pictures_a_second: before.and_then(|before| before.rate(&counts, at)),
        counts,
        workers,
        active: list.requests,
        at,
    })
}

/// Over what was there before on a terminal; below it elsewhere.
fn draw(text: &str, on_screen: bool) -> Result<()> {
    if !on_screen {
        show::print(&format!("{text}\n"))?;
        return Ok(());
    }
    let text = match AutoStream::choice(&stdout()) {
        ColorChoice::Never => anstream::adapter::strip_str(text).to_string(),
        _ => text.to_owned(),
    };
    let rows = rustix::termios::tcgetwinsize(stdout()).map_or(24, |size| usize::from(size.ws_row));
    let lines: Vec<&str> = text.lines().take(rows.saturating_sub(1)).collect();
    // As it is: what moves is no colour.
    let drawn = format!("\u{1b}[H{}\u{1b}[K\r\n\u{1b}[J", lines.join("\u{1b}[K\r\n"));
    show::print_raw(drawn.as_bytes())?;
    Ok(())
}

fn text(reading: &Reading, client: &Client, trouble: Option<&str>) -> String {
    let counts = &reading.counts;
    let mut text = format!(
        "{}\n",
        show::bold(&format!("Farm at {}", client.place().url))
    );
    if let Some(trouble) = trouble {
        let _ = writeln!(text, "{}", show::wrong(trouble));
    }
    let rate = reading
        .pictures_a_second
        .map(|rate| format!(", {rate:.2} a second"));
    let _ = writeln!(
        text,
        "pictures  {}{}; failed {}, canceled {}\n",
        counts.succeeded,
        rate.unwrap_or_default(),
        counts.failed,
        counts.canceled
    );
    let mut queues = Table::new(&["JOBS", "WAITING", "AT WORK", "OLDEST"]);
    for queue in &counts.queues {
        let oldest = match queue.waiting {
            0 => "-".to_owned(),
            _ => format!("{:.1} s", queue.oldest_s),
        };
        queues.row(&[
            queue.kind.as_str(),
            &queue.waiting.to_string(),
            &queue.at_work.to_string(),
            &oldest,
        ]);
    }
    let _ = writeln!(
        text,
        "{}\n{}",
        queues.text(),
        workers::table(&reading.workers)
    );
    if !reading.active.is_empty() {
        text.push_str(&list::table(&reading.active));
    }
    text
}
