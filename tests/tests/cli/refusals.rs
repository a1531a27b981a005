//! What the command makes of a farm that says no, and what it says without one.

use std::{fs, process::Command};

use anyhow::Result;
use atelier_cli::farm::FarmInfo;

use crate::{
    home::{Home, check, says},
    stub::{Stub, refusal},
};

#[test]
fn every_refusal_has_its_exit_status_and_says_what_to_do() -> Result<()> {
    let home = Home::new()?;
    let cases = [
        (401, "", "unauthorized", 4, "ATELIER_API_KEY"),
        (429, "retry-after: 17\r\n", "queue_full", 5, "in 17 s"),
        (422, "", "invalid", 2, "no good"),
        (404, "", "not_found", 1, "no good"),
        (500, "", "internal", 1, "no good"),
    ];
    for (status, further, code, exit, advice) in cases {
        let stub = Stub::start(move |_, _| (status, further, refusal(code, "no good")))?;
        let arguments = ["submit", "--url", &stub.url, "a cat"];
        let (_, said) = home.expect(exit, &arguments)?;
        says(&said, &["error: ", "no good", advice])?;
        assert_eq!(stub.calls().len(), 1, "asked again: {:?}", stub.calls());
    }
    // Something else than a farm.
    let stub = Stub::start(|_, _| (200, "", "<html>".into()))?;
    let (_, said) = home.expect(1, &["list", "--url", &stub.url])?;
    says(&said, &["does not answer as a farm of this version does"])
}

#[test]
fn a_farm_that_cannot_just_now_or_goes_away_is_asked_again_with_the_same_key() -> Result<()> {
    let home = Home::new()?;
    let stub = Stub::start(|_, before| match before {
        0 => (0, "", String::new()),
        1 => (503, "", refusal("unavailable", "the database is away")),
        _ => (422, "", refusal("invalid", "no good")),
    })?;
    home.expect(2, &["submit", "--url", &stub.url, "a cat"])?;
    let keys: Vec<String> = stub
        .calls()
        .iter()
        .flat_map(|call| call.headers.lines())
        .filter(|line| line.starts_with("idempotency-key:"))
        .map(str::to_owned)
        .collect();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    Ok(())
}

#[test]
fn the_key_is_sent_and_never_shown() -> Result<()> {
    let home = Home::new()?;
    let key = format!("atl_{}", "k".repeat(43));
    fs::write(home.path("key"), format!("{key}\n"))?;
    let stub = Stub::start(|_, _| (401, "", refusal("unauthorized", "no good")))?;
    let arguments = ["list", "--url", &stub.url];
    let by_variable = home
        .command(&arguments)
        .env("ATELIER_API_KEY", &key)
        .output()?;
    let (_, said) = check(4, &arguments, &by_variable)?;
    says(&said, &["The key came from ATELIER_API_KEY"])?;
    let arguments = ["list", "--url", &stub.url, "--key-file", "key"];
    let (_, more) = home.expect(4, &arguments)?;
    says(&more, &["The key came from key"])?;
    assert!(!(said + &more).contains(&key));
    let sent = format!("authorization: bearer {key}");
    assert!(stub.calls().iter().all(|call| call.headers.contains(&sent)));

    // The key of the farm in the data folder is for that farm only,
    fs::create_dir(home.path("farm"))?;
    fs::rename(home.path("key"), home.path("farm/key"))?;
    home.expect(4, &["list", "--url", &stub.url])?;
    // and while it runs: afterwards its port may be anybody's.
    home.farm()?.write_info(&FarmInfo {
        url: stub.url.clone(),
        pid: std::process::id(),
        http_ports: Vec::new(),
        postgres_port: 1,
        nats_port: 2,
        workers: 1,
        ready_at: String::new(),
    })?;
    home.expect(4, &["list", "--url", &stub.url])?;
    for call in &stub.calls()[2..] {
        assert!(!call.headers.contains("authorization"), "{call:?}");
    }
    let _lock = home.farm()?.lock()?;
    home.expect(4, &["list", "--url", &stub.url])?;
    let last = stub.calls().pop();
    assert!(last.is_some_and(|call| call.headers.contains(&sent)));
    Ok(())
}

#[test]
fn completions_are_scripts_and_the_version_is_a_document() -> Result<()> {
    let home = Home::new()?;
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = home.ok(&["completions", shell])?;
        says(&script, &["submit", "idempotency-key"])?;
        if shell == "bash" {
            fs::write(home.path("atelier.bash"), script)?;
            let file = home.path("atelier.bash");
            let parsed = Command::new("bash").arg("-n").arg(file).status()?;
            assert!(parsed.success());
        }
    }
    let version: serde_json::Value = home.json(&["version"])?;
    let coordinator = version["programs"]["coordinator"].as_str();
    assert!(coordinator.is_some_and(|path| path.ends_with("atelier-coordinator")));
    says(
        &home.ok(&["version"])?,
        &["atelier ", "messages of version 1"],
    )
}

#[test]
fn an_empty_list_says_of_which_state() -> Result<()> {
    let home = Home::new()?;
    let stub = Stub::start(|_, _| (200, "", "{\"requests\":[]}".into()))?;
    let out = home.ok(&["list", "--state", "failed", "--url", &stub.url])?;
    assert_eq!(out, "no requests that are failed\n");
    says(
        &home.ok(&["list", "--url", &stub.url])?,
        &["no requests: atelier submit"],
    )
}

#[test]
fn a_request_that_nobody_can_draw_is_told_at_once() -> Result<()> {
    let home = Home::new()?;
    let stub = Stub::start(|_, _| {
        let view = serde_json::json!({
            "id": "01890a5d-ac96-774b-bcce-b302099a8057",
            "prompt": "a cat",
            "state": "active",
            "seed": 1,
            "round": 1,
            "jobs": [],
            "waiting_for": ["render", "critique"],
            "created_at": "2026-01-01T00:00:00Z",
        });
        (201, "", view.to_string())
    })?;
    let (out, said) = home.expect(0, &["submit", "--detach", "--url", &stub.url, "a cat"])?;
    assert_eq!(out, "01890a5d-ac96-774b-bcce-b302099a8057\n");
    says(
        &said,
        &["no worker does render and critique", "atelier workers"],
    )?;
    let id = out.trim();
    says(
        &home.ok(&["status", id, "--url", &stub.url])?,
        &["waits: no worker does render and critique"],
    )
}
