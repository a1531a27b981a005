//! Draws the prompts of a JSON-lines file through a running farm and says what came of them: an uncurated sheet, how much of each prompt
//! its plan names, how the critique went, how long it took. Pictures, plans and boxes go to a folder for judges of their own.
//!
//! `ATELIER_API_KEY=$(cat .atelier/key) cargo run --release -p atelier-tests --bin bench-sheet -- --server <http://127.0.0.1:PORT`>

mod expected;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use atelier_proto::{job::Think, trace::Trace};
use atelier_tests::{Api, prompt};
use expected::{Expected, Named};
use image::{RgbImage, imageops};

/// Pictures in a row of the sheet.
const COLUMNS: usize = 8;
/// Pixels between pictures.
const GAP: u32 = 2;
/// How long one picture may take.
const LIMIT: Duration = Duration::from_secs(300);

const HELP: &str = "\
bench-sheet: draws prompts through a running farm and says what came of them

  --server URL     address that `atelier up` says; the key comes from ATELIER_API_KEY
  --prompts FILE   JSON lines with prompt and seed (tests/prompts/first.jsonl)
  --out DIR        where pictures, traces and sheet.png go (.atelier/sheet)
  --think MODE     off, fast or full (fast)";

struct Options {
    server: String,
    prompts: PathBuf,
    out: PathBuf,
    think: Think,
}

fn options() -> anyhow::Result<Options> {
    let mut options = Options {
        server: String::new(),
        prompts: "tests/prompts/first.jsonl".into(),
        out: ".atelier/sheet".into(),
        think: Think::default(),
    };
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        if ["-h", "--help"].contains(&&*flag) {
            println!("{HELP}");
            std::process::exit(0);
        }
        let value = args
            .next()
            .with_context(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--server" => options.server = value,
            "--prompts" => options.prompts = value.into(),
            "--out" => options.out = value.into(),
            "--think" => {
                let mode = serde_json::from_value(value.into());
                options.think = mode.context("--think is off, fast or full")?;
            }
            _ => bail!("unknown option {flag}\n\n{HELP}"),
        }
    }
    if options.server.is_empty() {
        bail!("--server URL is needed: the address that `atelier up` says");
    }
    Ok(options)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = options()?;
    let text = fs::read_to_string(&options.prompts)
        .with_context(|| format!("cannot read {}", options.prompts.display()))?;
    let prompts: Vec<Expected> = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .context("a line of the prompts")?;
    fs::create_dir_all(&options.out)?;
    let key = std::env::var("ATELIER_API_KEY")
        .context("ATELIER_API_KEY is needed: `atelier up` keeps one in .atelier/key")?;
    let api = Api::new(&options.server, Some(&key))?;
    let mut pictures = Vec::with_capacity(prompts.len());
    let mut named = Named::default();
    let mut seconds = Vec::with_capacity(prompts.len());
    let (mut pass, mut fail, mut unknown, mut redrawn) = (0, 0, 0, 0);
    for (index, expected) in prompts.iter().enumerate() {
        let mut request = prompt(&expected.prompt);
        request.seed = Some(expected.seed);
        request.think = options.think;
        // Seconds are of drawing, not of finding what was drawn before.
        request.cache = Some(false);
        let started = Instant::now();
        let id = api.submit(&request).await?.id;
        let view = api.succeeded(id, LIMIT).await?;
        seconds.push(started.elapsed().as_secs_f64());
        let trace = trace(&api, id).await?;
        let plan = trace.plan.as_ref().context("a trace without a plan")?;
        plan.validate()?;
        let found = expected.named_in(plan);
        if let Some(score) = view.score {
            (pass, fail, unknown) = (
                pass + score.pass,
                fail + score.fail,
                unknown + score.unknown,
            );
        }
        redrawn += u32::from(view.round > 1);
        println!(
            "{:>2}  {:>5.1} s  named {}  {}  {}",
            index + 1,
            seconds[index],
            found,
            view.score.map_or_else(
                || "unchecked".into(),
                |s| format!("{} pass {} fail {} unknown", s.pass, s.fail, s.unknown)
            ),
            expected.prompt
        );
        named.add(&found);
        let bytes = api.picture(id).await?;
        keep(&options.out, index, expected, &trace, &bytes)?;
        pictures.push(image::load_from_memory(&bytes)?.into_rgb8());
    }
    sheet(&pictures).save(options.out.join("sheet.png"))?;
    seconds.sort_by(f64::total_cmp);
    println!(
        "named: {named}; checks: {pass} pass, {fail} fail, {unknown} unknown; {redrawn} of {} drawn again; median {:.1} s a picture",
        prompts.len(),
        seconds[seconds.len() / 2]
    );
    println!("sheet: {}", options.out.join("sheet.png").display());
    Ok(())
}

/// The trace follows the result within moments.
async fn trace(api: &Api, id: atelier_proto::RequestId) -> anyhow::Result<Trace> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match api.trace(id).await {
            Ok(trace) => return Ok(trace),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Writes picture, trace and what was expected, under the picture's number.
fn keep(
    out: &Path,
    index: usize,
    expected: &Expected,
    trace: &Trace,
    picture: &[u8],
) -> anyhow::Result<()> {
    let name = format!("{:02}", index + 1);
    fs::write(out.join(format!("{name}.png")), picture)?;
    let about = serde_json::json!({ "expected": expected, "trace": trace });
    fs::write(
        out.join(format!("{name}.json")),
        serde_json::to_vec_pretty(&about)?,
    )?;
    Ok(())
}

/// All pictures in rows, at the size of the first.
fn sheet(pictures: &[RgbImage]) -> RgbImage {
    let Some(first) = pictures.first() else {
        return RgbImage::new(1, 1);
    };
    let (w, h) = (first.width() + GAP, first.height() + GAP);
    let rows = pictures.len().div_ceil(COLUMNS) as u32;
    let mut sheet = RgbImage::from_pixel(
        COLUMNS as u32 * w - GAP,
        rows * h - GAP,
        image::Rgb([255; 3]),
    );
    for (index, picture) in pictures.iter().enumerate() {
        let (column, row) = ((index % COLUMNS) as u32, (index / COLUMNS) as u32);
        imageops::replace(
            &mut sheet,
            picture,
            i64::from(column * w),
            i64::from(row * h),
        );
    }
    sheet
}
