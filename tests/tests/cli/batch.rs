//! `batch`: every line once, whatever happens on the way.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Read},
    process::Stdio,
};

use anyhow::{Context, Result, ensure};
use atelier_proto::http::RequestList;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    home::{Home, is_png, says},
    stub::{Stub, refusal},
};

#[test]
fn a_batch_that_is_interrupted_goes_on_and_draws_nothing_twice() -> Result<()> {
    let home = Home::with_farm()?;
    let line =
        |number| format!("{{\"prompt\":\"cat number {number} [slow:30]\",\"seed\":{number}}}\n");
    let mut lines: Vec<String> = (1..=12).map(line).collect();
    lines.push("{\"prompt\":\"a dog [impossible:render]\"}\n".into());
    fs::write(home.path("cats.jsonl"), lines.concat())?;

    let mut batch = home
        .command(&["batch", "cats.jsonl", "--in-flight", "3"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut said = BufReader::new(batch.stderr.take().context("a pipe")?);
    let mut first = String::new();
    said.read_line(&mut first)?;
    says(&first, &["line ", "succeeded"])?;
    let pid = Pid::from_raw(batch.id().cast_signed()).context("a process id")?;
    kill_process(pid, Signal::INT)?;
    let mut rest = String::new();
    said.read_to_string(&mut rest)?;
    ensure!(batch.wait()?.code() == Some(130), "{rest}");
    says(&rest, &["the same command again"])?;

    let (_, said) = home.expect(1, &["batch", "cats.jsonl", "--traces"])?;
    says(&said, &["1 without a picture: line 13", "--retry-failed"])?;
    let known: RequestList = home.json(&["list", "--all"])?;
    let prompts: BTreeSet<&str> = known
        .requests
        .iter()
        .map(|one| one.prompt.as_str())
        .collect();
    assert_eq!(
        (known.requests.len(), prompts.len()),
        (13, 13),
        "something was drawn twice"
    );
    for number in 1..=12 {
        ensure!(
            is_png(&home.path(&format!("cats/{number:04}.png"))),
            "{number}"
        );
    }
    let results = results(&home)?;
    let numbers: Vec<u64> = results
        .iter()
        .filter_map(|one| one["line"].as_u64())
        .collect();
    assert_eq!(
        numbers,
        (1..=13).collect::<Vec<u64>>(),
        "in the order of the file"
    );
    assert_eq!(
        (&results[4]["seed"], &results[4]["picture"]),
        (&5.into(), &"0005.png".into())
    );
    assert_eq!(results[12]["state"], "failed");

    // Nothing is left to do but what failed; that only on demand.
    let summary: Value =
        serde_json::from_str(&home.expect(1, &["batch", "cats.jsonl", "--json"])?.0)?;
    assert_eq!(
        (&summary["kept"], &summary["failed"]),
        (&12.into(), &1.into()),
        "{summary}"
    );
    home.expect(1, &["batch", "cats.jsonl", "--retry-failed"])?;
    let now: RequestList = home.json(&["list", "--all"])?;
    assert_eq!(now.requests.len(), 14);

    // A picture that was lost is fetched again, a changed line is another request.
    fs::remove_file(home.path("cats/0001.png"))?;
    lines[1] = "{\"prompt\":\"a fox\"}\n".into();
    lines.truncate(12);
    fs::write(home.path("cats.jsonl"), lines.concat())?;
    let out = home.ok(&["batch", "cats.jsonl"])?;
    says(&out, &["12 of 12", "10 of them from before"])?;
    ensure!(is_png(&home.path("cats/0001.png")));
    let now: RequestList = home.json(&["list", "--all"])?;
    assert_eq!(now.requests.len(), 15);
    Ok(())
}

fn results(home: &Home) -> Result<Vec<Value>> {
    let text = fs::read_to_string(home.path("cats/results.jsonl"))?;
    Ok(text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?)
}

#[test]
fn a_full_queue_is_waited_out_and_a_refused_line_is_a_result() -> Result<()> {
    let home = Home::new()?;
    let stub = Stub::start(|_, before| match before {
        0 => (
            429,
            "retry-after: 1\r\n",
            refusal("queue_full", "the queue is full"),
        ),
        _ => (422, "", refusal("invalid", "not such a size")),
    })?;
    let (_, said) = home.feed(
        1,
        &["batch", "-", "--out", "cats", "--url", &stub.url],
        "{\"prompt\":\"a cat\"}\n",
    )?;
    says(
        &said,
        &[
            "the farm is full: waiting for 1 s",
            "line 1: refused: not such a size",
        ],
    )?;
    assert_eq!(stub.calls().len(), 2);
    assert_eq!(results(&home)?[0]["state"], "refused");
    Ok(())
}

#[test]
fn a_farm_that_is_away_or_cannot_just_now_is_not_called_full() -> Result<()> {
    let home = Home::new()?;
    let stub = Stub::start(|_, before| match before {
        0 => (0, "", String::new()),
        1 => (
            503,
            "retry-after: 0\r\n",
            refusal("unavailable", "the database is away"),
        ),
        _ => (422, "", refusal("invalid", "not such a size")),
    })?;
    let (_, said) = home.feed(
        1,
        &["batch", "-", "--out", "cats", "--url", &stub.url],
        "{\"prompt\":\"a cat\"}\n",
    )?;
    says(
        &said,
        &[
            "the farm does not answer: waiting for 1 s",
            "the farm cannot take requests just now: waiting for 1 s",
        ],
    )?;
    ensure!(!said.contains("full"), "{said}");
    Ok(())
}

#[test]
fn a_lost_picture_of_a_line_that_was_tried_again_is_that_of_the_second_request() -> Result<()> {
    let home = Home::new()?;
    let (first, second) = (
        "01890a5d-ac96-774b-bcce-b302099a8057",
        "01890a5d-ac96-774b-bcce-b302099a8058",
    );
    let view = |id: &str, state: &str| {
        serde_json::json!({
            "id": id, "prompt": "a cat", "state": state, "seed": 1, "round": 1, "jobs": [],
            "created_at": "2026-01-01T00:00:00Z",
        })
        .to_string()
    };
    let stub = Stub::start(move |call, _| match call.target.as_str() {
        "POST /v1/requests" => (201, "", view(first, "failed")),
        target if target == format!("POST /v1/requests/{first}/retry") => {
            (201, "", view(second, "succeeded"))
        }
        target if target == format!("GET /v1/requests/{second}") => {
            (200, "", view(second, "succeeded"))
        }
        target if target == format!("GET /v1/requests/{second}/image?traced=1") => {
            (200, "", "a picture".into())
        }
        _ => (404, "", refusal("not_found", "no such thing")),
    })?;
    fs::write(home.path("cats.jsonl"), "{\"prompt\":\"a cat\"}\n")?;
    let batch = ["batch", "cats.jsonl", "--url", &stub.url];
    home.expect(1, &batch)?;
    home.ok(&[&batch[..], &["--retry-failed"]].concat())?;
    for again in [&[][..], &["--retry-failed"]] {
        fs::remove_file(home.path("cats/0001.png"))?;
        home.ok(&[&batch[..], again].concat())?;
        assert_eq!(fs::read(home.path("cats/0001.png"))?, b"a picture");
        let result = &results(&home)?[0];
        assert_eq!(
            (&result["id"], &result["state"]),
            (&second.into(), &"succeeded".into())
        );
    }
    let calls = stub.calls();
    let sent = calls
        .iter()
        .filter(|call| call.target.starts_with("POST"))
        .count();
    assert_eq!(sent, 2, "{calls:#?}");
    Ok(())
}

#[test]
fn what_is_wrong_for_all_lines_ends_the_batch() -> Result<()> {
    let home = Home::new()?;
    let stub = Stub::start(|_, _| (401, "", refusal("unauthorized", "no key")))?;
    fs::write(
        home.path("cats.jsonl"),
        "{\"prompt\":\"a cat\"}\n".repeat(50),
    )?;
    let arguments = [
        "batch",
        "cats.jsonl",
        "--in-flight",
        "1",
        "--url",
        &stub.url,
    ];
    let (_, said) = home.expect(4, &arguments)?;
    says(&said, &["line 1", "no key"])?;
    assert_eq!(stub.calls().len(), 1);
    assert_eq!(results(&home)?.len(), 0);

    fs::write(
        home.path("cats.jsonl"),
        "{\"prompt\":\"a cat\"}\n{\"promt\":\"a dog\"}\n",
    )?;
    let (_, said) = home.expect(2, &arguments)?;
    says(&said, &["line 2", "nothing was sent"])?;
    assert_eq!(stub.calls().len(), 1);
    Ok(())
}
