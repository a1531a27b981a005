//! What people do with requests, on one farm: every command's success and failure.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::Stdio,
};

use anyhow::{Context, Result, ensure};
use atelier_pictures::Origin;
use atelier_proto::{
    http::{RequestList, RequestState, RequestView},
    plan::Plan,
    trace::Trace,
};
use base64::{Engine, prelude::BASE64_STANDARD as STANDARD};
use rustix::process::{Pid, Signal, kill_process};

use crate::home::{Home, check, is_png, says};

#[test]
fn requests_from_submit_to_trace() -> Result<()> {
    let home = Home::with_farm()?;
    one_picture(&home).context("one picture")?;
    several_pictures(&home).context("several pictures")?;
    words_for_submit(&home).context("options of submit")?;
    a_request_that_fails(&home).context("a request that fails")?;
    cancel_and_watch(&home).context("cancel and watch")?;
    replay(&home).context("replay")?;
    interrupting_leaves_the_request(&home).context("Ctrl-C")?;
    pages(&home).context("pages of a list")?;
    ids(&home).context("ids")?;
    workers_and_keys(&home).context("workers and keys")?;
    plans(&home).context("plans")
}

fn plans(home: &Home) -> Result<()> {
    let (out, said) = home.expect(0, &["plan", "--out", "plan.json", "a cat and a radio"])?;
    ensure!(out.is_empty(), "{out}");
    says(&said, &["2 things: cat, radio", "stages: out (generate)"])?;
    let mut plan: Plan = serde_json::from_slice(&fs::read(home.path("plan.json"))?)?;
    let printed: Plan = serde_json::from_str(&home.ok(&["plan", "--seed", "3", "a dog"])?)?;
    ensure!(printed.elements[0].noun == "dog");

    plan.elements[0].noun = "tiger".into();
    fs::write(home.path("edited.json"), serde_json::to_string(&plan)?)?;
    home.ok(&["submit", "--plan", "edited.json", "--out", "tiger.png"])?;
    let trace: Trace = serde_json::from_slice(&fs::read(home.path("tiger.trace.json"))?)?;
    ensure!(trace.plan.as_ref() == Some(&plan), "another plan was drawn");
    ensure!(trace.submitted.prompt == plan.caption);

    plan.elements[0].count = 99;
    fs::write(home.path("wrong.json"), serde_json::to_string(&plan)?)?;
    let (_, said) = home.expect(2, &["submit", "--plan", "wrong.json"])?;
    says(&said, &["wrong.json", "elements[0].count"])?;
    fs::write(home.path("no.json"), r#"{"version": 1, "caption": 7}"#)?;
    let (_, said) = home.expect(2, &["submit", "--plan", "no.json"])?;
    says(&said, &["no.json", "caption"])
}

fn one_picture(home: &Home) -> Result<()> {
    let (out, said) = home.expect(
        0,
        &[
            "submit",
            "--out",
            "cat.png",
            "--seed",
            "5",
            "a cat and a radio",
        ],
    )?;
    ensure!(is_png(&home.path("cat.png")), "{out}");
    says(&said, &["plan: done", "draw out: done"])?;
    ensure!(
        !said.contains('\u{1b}') && !out.contains('\u{1b}'),
        "colours in a file"
    );
    let trace: Trace = serde_json::from_slice(&fs::read(home.path("cat.trace.json"))?)?;
    ensure!(trace.submitted.prompt == "a cat and a radio");
    let id = trace.request.to_string();
    says(&out, &[&id, "seed 5", "checks"])?;

    let story = home.ok(&["trace", &id])?;
    says(
        &story,
        &[
            "a cat and a radio",
            "element    cat",
            "draw out (generate): done",
            "checks passed",
        ],
    )?;
    ensure!(home.json::<Trace>(&["trace", "last"])? == trace);
    says(&story, &["on double, weights dbdbdb", "waited", "read "])?;
    page(home, &id).context("the story as a page")?;
    let out = home.ok(&["download", "last", "--out", "again.png", "--trace"])?;
    ensure!(out == "again.png\nagain.trace.json\n", "{out}");
    ensure!(fs::read(home.path("again.png"))? == fs::read(home.path("cat.png"))?);
    let told: serde_json::Value = home.json(&["inspect", "again.png"])?;
    ensure!(
        told["atelier"]["stage"] == "out" && told["parameters"]["settings"]["Seed"].is_string(),
        "{told}"
    );
    let said = home.ok(&["inspect", "again.png"])?;
    says(
        &said,
        &["\nplan  ", &format!("again.trace.json, request {id}")],
    )?;
    let stored = trace.image.context("a picture")?.sha256.to_string();
    ensure!(
        told["request"] == id.as_str() && told["sha256"] == stored.as_str(),
        "{told}"
    );
    says(&said, &[&format!("see 'atelier trace {id}'")])?;
    fs::copy(home.path("again.png"), home.path("moved.png"))?;
    let moved: serde_json::Value = home.json(&["inspect", "moved.png"])?;
    ensure!(
        moved["request"] == id.as_str() && moved["sha256"] == told["sha256"],
        "{moved}"
    );
    home.ok(&["download", &id, "--out", "again.jpg", "--quality", "70"])?;
    ensure!(fs::read(home.path("again.jpg"))?.starts_with(&[0xFF, 0xD8]));
    let (_, said) = home.expect(1, &["inspect", "again.jpg"])?;
    ensure!(said.contains("is not a PNG"), "{said}");
    let raw = home.command(&["download", &id, "--out", "-"]).output()?;
    ensure!(raw.stdout == fs::read(home.path("cat.png"))?);

    let view: RequestView = home.json(&["submit", "a dog"])?;
    ensure!(view.state == RequestState::Succeeded);
    let name = format!("atelier-{}.png", &view.id.to_string()[28..]);
    ensure!(is_png(&home.path(&name)), "there is no {name}");
    let raw = home.command(&["submit", "--out", "-", "a dog"]).output()?;
    ensure!(raw.stdout.starts_with(b"\x89PNG") && raw.status.success());
    Ok(())
}

fn page(home: &Home, id: &str) -> Result<()> {
    let out = home.ok(&["trace", id, "--html", "story.html"])?;
    ensure!(out == "story.html\n", "{out}");
    let page = fs::read_to_string(home.path("story.html"))?;
    let (_, picture) = Origin::take_out(&fs::read(home.path("cat.png"))?).context("a copy")?;
    let picture = STANDARD.encode(picture);
    says(
        &page,
        &["<!doctype html>", &picture, "a cat and a radio", "</html>"],
    )?;
    let raw = home.ok(&["trace", id, "--html", "-"])?;
    ensure!(raw == page);
    home.expect(2, &["trace", id, "--html", "-", "--json"])?;
    Ok(())
}

fn replay(home: &Home) -> Result<()> {
    let prompt = "a cat <script>alert(1)</script> and a fox";
    let view: RequestView = home.json(&["submit", "--ref", "cat=cat.png", prompt])?;
    let out = home.ok(&["replay", &view.id.to_string()])?;
    let digest = view.image.context("a picture")?.sha256;
    ensure!(
        out.starts_with(&format!("identical (sha256 {digest})\n")),
        "{out}"
    );
    ensure!(
        !out.contains("changed") && !out.contains("unknown"),
        "{out}"
    );
    let told: serde_json::Value = home.json(&["replay", "last"])?;
    ensure!(
        told["identical"] == true && told["circumstances"] == serde_json::json!([]),
        "{told}"
    );
    ensure!(told["original"] != told["replay"], "{told}");
    let hostile = home.ok(&["trace", "last", "--html", "-"])?;
    ensure!(hostile.contains("&lt;script&gt;alert(1)") && !hostile.contains("<script"));
    // A plan that was given is given again.
    home.ok(&["plan", "--out", "given.json", "a cat and a fox"])?;
    let given: RequestView = home.json(&["submit", "--plan", "given.json", "by hand"])?;
    ensure!(given.image.is_some(), "{given:?}");
    let told: serde_json::Value = home.json(&["replay", "last"])?;
    ensure!(
        told["identical"] == true && told["circumstances"] == serde_json::json!([]),
        "{told}"
    );
    let failed = home.ok(&["submit", "--detach", "a cat [slow:60000]"])?;
    let (_, said) = home.expect(1, &["replay", failed.trim()])?;
    ensure!(said.contains("is active"), "{said}");
    home.ok(&["cancel", failed.trim()])?;
    Ok(())
}

fn several_pictures(home: &Home) -> Result<()> {
    let (out, said) = home.expect(
        0,
        &[
            "submit", "-n", "3", "--seed", "10", "--out", "fox.png", "a fox",
        ],
    )?;
    says(
        &said,
        &["1 of 3: plan: done", "3 of 3: succeeded, fox-3.png"],
    )?;
    says(&out, &["PICTURE", "fox-1.png", "fox-2.png", "fox-3.png"])?;
    for number in 1..=3 {
        ensure!(is_png(&home.path(&format!("fox-{number}.png"))));
    }
    let list: serde_json::Value = home.json(&["submit", "-n", "2", "--seed", "3", "a fox"])?;
    let requests = list["requests"].as_array().context("requests")?;
    let seeds: Vec<&serde_json::Value> = requests.iter().map(|one| &one["seed"]).collect();
    ensure!(seeds == [3, 4], "{seeds:?}");
    let ids = home.ok(&["submit", "-n", "2", "--detach", "a fox"])?;
    ensure!(ids.lines().count() == 2, "{ids}");
    Ok(())
}

fn words_for_submit(home: &Home) -> Result<()> {
    let again = ["--idempotency-key", "one", "--seed", "1", "a cat"];
    let first = home.submit(&again)?;
    ensure!(home.submit(&again)?.id == first.id, "drawn twice");
    let (_, said) = home.expect(
        1,
        &["submit", "--detach", "--idempotency-key", "one", "a dog"],
    )?;
    says(&said, &["idempotency"])?;

    image::RgbImage::new(16, 16).save(home.path("mug.png"))?;
    let (_, said) = home.feed(
        0,
        &[
            "submit",
            "--ref",
            "mug=mug.png",
            "--size",
            "64x64",
            "--steps",
            "2",
            "--think",
            "off",
            "--priority",
            "batch",
            "--out",
            "mug-out.png",
            "-",
        ],
        "a mug\n",
    )?;
    ensure!(!said.contains("plan"), "{said}");
    let trace: Trace = home.json(&["trace", "last"])?;
    let submitted = trace.submitted;
    ensure!(submitted.prompt == "a mug" && submitted.steps == Some(2));
    ensure!(submitted.references.len() == 1 && submitted.size.is_some());
    // What only the farm can know.
    let (_, said) = home.expect(2, &["submit", "--size", "1x1", "a cat"])?;
    says(&said, &["size"])
}

fn a_request_that_fails(home: &Home) -> Result<()> {
    let (_, said) = home.expect(1, &["submit", "a cat [impossible:render]"])?;
    says(
        &said,
        &["told to be impossible", "atelier trace", "atelier retry"],
    )?;
    let failed: RequestView = home.json(&["status", "last"])?;
    let id = failed.id.to_string();
    says(
        &home.ok(&["status", &id])?,
        &["failed", "because told to be impossible"],
    )?;
    says(&home.ok(&["trace", &id])?, &["told to be impossible"])?;
    let (_, said) = home.expect(1, &["download", &id])?;
    says(&said, &["has no picture", "atelier trace"])?;
    home.expect(1, &["watch", &id])?;

    let (_, said) = home.expect(1, &["retry", &id])?;
    says(&said, &["told to be impossible"])?;
    let again: RequestView = home.json(&["status", "last"])?;
    ensure!(again.id != failed.id && again.prompt == failed.prompt);
    let detached: RequestView = home.json(&["retry", &id, "--detach"])?;
    ensure!(detached.id != again.id);
    Ok(())
}

fn cancel_and_watch(home: &Home) -> Result<()> {
    let slow = home.submit(&["--steps", "200", "a fox [slow:200]"])?;
    let id = slow.id.to_string();
    says(&home.ok(&["status", &id])?, &["active", "a fox"])?;
    let (_, said) = home.expect(1, &["trace", &id])?;
    says(&said, &["atelier watch"])?;
    let (_, said) = home.expect(1, &["download", &id])?;
    says(&said, &["active", "atelier watch"])?;
    let watch = home
        .command(&["watch", &id, "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    says(&home.ok(&["cancel", &id])?, &["canceled"])?;
    home.ok(&["cancel", &id])?;
    let (out, _) = check(1, &["watch"], &watch.wait_with_output()?)?;
    let view: RequestView = serde_json::from_str(&out)?;
    ensure!(view.state == RequestState::Canceled);
    let again: RequestView = home.json(&["retry", &id, "--detach"])?;
    ensure!(again.id != slow.id);
    home.ok(&["cancel", &again.id.to_string()])?;

    let done = home.submit(&["a cat"])?.id.to_string();
    says(&home.ok(&["watch", &done])?, &["succeeded"])?;
    let (_, said) = home.expect(1, &["cancel", &done])?;
    says(&said, &["ended before"])?;
    home.expect(1, &["retry", &done])?;
    Ok(())
}

fn interrupting_leaves_the_request(home: &Home) -> Result<()> {
    let mut submit = home
        .command(&["submit", "--steps", "200", "an owl [slow:200]"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut said = BufReader::new(submit.stderr.take().context("a pipe")?);
    let mut line = String::new();
    said.read_line(&mut line)?;
    let owl = line
        .strip_prefix("request ")
        .context("its id comes first")?;
    // It listens for signals before it says the id.
    let pid = Pid::from_raw(submit.id().cast_signed()).context("a process id")?;
    kill_process(pid, Signal::INT)?;
    let mut rest = String::new();
    said.read_to_string(&mut rest)?;
    ensure!(submit.wait()?.code() == Some(130), "{rest}");
    says(&rest, &["the request goes on", "atelier watch", owl.trim()])?;
    says(&home.ok(&["status", owl.trim()])?, &["active"])?;
    home.ok(&["cancel", owl.trim()])?;
    Ok(())
}

fn pages(home: &Home) -> Result<()> {
    let all: RequestList = home.json(&["list", "--all"])?;
    ensure!(all.next.is_none() && all.requests.len() > 10);
    let first: RequestList = home.json(&["list", "--limit", "4"])?;
    ensure!(first.requests[..] == all.requests[..4]);
    let next = first.next.context("there are more")?.to_string();
    let second: RequestList = home.json(&["list", "--limit", "4", "--before", &next])?;
    ensure!(second.requests[..] == all.requests[4..8]);
    let (out, said) = home.expect(0, &["list", "--limit", "4"])?;
    ensure!(out.lines().count() == 5, "{out}");
    says(&said, &["there are more: atelier list --before", &next])?;
    for state in ["succeeded", "failed", "canceled"] {
        let some: RequestList = home.json(&["list", "--all", "--state", state])?;
        let wanted = |one: &&atelier_proto::http::RequestSummary| one.state.as_str() == state;
        let known = all.requests.iter().filter(wanted).count();
        ensure!(
            some.requests.len() == known && known > 0,
            "{state}: {known}"
        );
        ensure!(some.requests.iter().all(|one| wanted(&one)));
    }
    let overview = home.ok(&["status"])?;
    says(&overview, &["Farm at", "WORKER", "REQUEST", "succeeded"])
}

fn ids(home: &Home) -> Result<()> {
    let id = home.submit(&["a cat"])?.id.to_string();
    for part in [
        &id[..],
        &id[24..],
        &id.to_uppercase(),
        &format!(" {id} "),
        "last",
    ] {
        let view: RequestView = home.json(&["status", part])?;
        ensure!(view.id.to_string() == id, "{part}");
    }
    // All ids of the same hours begin alike.
    let (_, said) = home.expect(2, &["status", &id[..6]])?;
    says(&said, &["may be any of", "give more of the id"])?;
    let other = if id.ends_with('0') { "1" } else { "0" };
    let typo = format!("{}{other}", &id[..35]);
    let (_, said) = home.expect(1, &["status", &typo])?;
    says(&said, &["did you mean", &id])?;
    let (_, said) = home.expect(1, &["cancel", "00000000-0000-7000-8000-000000000000"])?;
    says(&said, &["atelier list"])?;
    home.expect(2, &["trace", "the first one"])?;
    home.ok(&["watch", &id])?;
    Ok(())
}

fn workers_and_keys(home: &Home) -> Result<()> {
    says(
        &home.ok(&["workers"])?,
        &["WORKER", "double", "plan, render, critique"],
    )?;
    let workers: serde_json::Value = home.json(&["workers"])?;
    ensure!(workers["workers"][0]["device"] == "double", "{workers}");

    let key = home.ok(&[
        "key",
        "create",
        "--tenant",
        "studio",
        "--note",
        "for a test",
    ])?;
    ensure!(key.starts_with("atl_") && key.trim().len() == 47, "{key}");
    let file = home.path("studio.key");
    fs::write(&file, &key)?;
    let file = file.display().to_string();
    // Another tenant sees nothing of this.
    let list: RequestList = home.json(&["list", "--key-file", &file])?;
    ensure!(list.requests.is_empty());
    let mine: RequestView = home.json(&["status", "last"])?;
    home.expect(1, &["status", &mine.id.to_string(), "--key-file", &file])?;

    let keys = home.ok(&["key", "list"])?;
    says(&keys, &["studio", "local", "for a test"])?;
    ensure!(!keys.contains(key.trim()));
    let listed: serde_json::Value = home.json(&["key", "list"])?;
    let listed = listed.as_array().context("an array")?;
    ensure!(listed.iter().any(|one| one["tenant"] == "studio"));

    // A coordinator may go on with a key that it saw a moment ago; this one it has not seen.
    let lost = home.ok(&["key", "create", "--tenant", "lost"])?;
    let keys = home.ok(&["key", "list"])?;
    let row = keys.lines().find(|row| row.contains("lost"));
    let id = row.and_then(|row| row.split_whitespace().next());
    let id = id.context("the id of a key")?;
    home.ok(&["key", "revoke", id])?;
    says(&home.ok(&["key", "list"])?, &["revoked"])?;
    home.expect(
        1,
        &["key", "revoke", "01890a5d-ac96-774b-bcce-b302099a8057"],
    )?;
    let arguments = ["list"];
    for (value, code, advice) in [
        (lost.trim(), 4, "The key came from ATELIER_API_KEY"),
        ("rubbish", 2, "is not a key"),
    ] {
        let output = home
            .command(&arguments)
            .env("ATELIER_API_KEY", value)
            .output()?;
        let (_, said) = check(code, &arguments, &output)?;
        says(&said, &[advice])?;
        ensure!(!said.contains(value), "the key is shown: {said}");
    }
    home.ok(&["migrate"])?;
    Ok(())
}
