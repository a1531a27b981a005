//! `up`, `down`, `doctor`, and what happens to a farm whose processes die.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::PermissionsExt,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use atelier_proto::{http::RequestView, job::JobKind, trace::Trace};
use atelier_tests::checkout;

use crate::home::{Home, check, is_png, says};

/// A published pipeline, as small as they come and of random weights, with a critic that reads.
#[test]
fn a_pipeline_plans_draws_and_is_looked_at_by_a_critic_beside_it() -> Result<()> {
    let home = Home::new()?;
    let tiny = checkout().join("services/models/tests/fixtures/parity/tiny");
    let place = |name: &str| tiny.join(name).display().to_string();
    let (klein, critic) = (place("klein"), place("qwen3vl"));
    let up = |more: &[&str]| {
        let mut command = home.command(&["up", "--detach", "--model", &klein]);
        command.args(more).env("ATELIER_ENGINE", "torch");
        command.output()
    };
    check(0, &["up"], &up(&["--critic", &critic])?)?;
    let view: RequestView = home.json(&[
        "submit",
        "--size",
        "64x64",
        "--max-rounds",
        "1",
        "--out",
        "cat.png",
        "a cat",
    ])?;
    ensure!(is_png(&home.path("cat.png")));
    let trace: Trace = home.json(&["trace", &view.id.to_string()])?;
    ensure!(trace.model == "klein", "{}", trace.model);
    let kinds: Vec<JobKind> = trace.jobs.iter().map(|job| job.kind).collect();
    ensure!(
        kinds.contains(&JobKind::Plan) && kinds.contains(&JobKind::Critique),
        "{kinds:?}"
    );
    home.ok(&["down"])?;
    let (_, said) = check(0, &["up"], &up(&[])?)?;
    says(&said, &["--critic DIR"])?;
    home.ok(&[
        "submit", "--think", "off", "--size", "64x64", "--out", "off.png", "a cat",
    ])?;
    ensure!(is_png(&home.path("off.png")));
    Ok(())
}

#[test]
fn a_farm_from_up_to_down() -> Result<()> {
    let home = Home::new()?;
    let (out, said) = home.expect(
        0,
        &["up", "--detach", "--coordinators", "2", "--workers", "2"],
    )?;
    let info = home.info()?;
    let key = home.farm()?.key_file();
    says(&out, &[&info.url, &key.display().to_string()])?;
    says(
        &said,
        &["farm ready", "coordinator-2 is ready", "worker-2 is ready"],
    )?;
    assert_eq!(fs::metadata(&key)?.permissions().mode() & 0o777, 0o600);
    let secret = fs::read_to_string(&key)?;
    assert!(!out.contains(secret.trim()) && !said.contains(secret.trim()));

    for again in [&["up", "--detach"][..], &["up"]] {
        let (_, said) = home.expect(1, again)?;
        says(&said, &["already", &info.url, &info.pid.to_string()])?;
    }
    home.ok(&["submit", "--out", "cat.png", "a cat and a radio"])?;
    // The second coordinator serves the same farm.
    let second = format!("http://127.0.0.1:{}", info.http_ports[1]);
    let key_file = key.display().to_string();
    let (story, _) = home.expect(
        0,
        &["trace", "last", "--url", &second, "--key-file", &key_file],
    )?;
    says(&story, &["a cat and a radio"])?;
    // A coordinator that misses a worker's first sign of life, as on a busy machine, counts it from the next one, two seconds later.
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let (report, _) = home.expect(0, &["doctor"])?;
        assert!(!report.contains("BAD"), "{report}");
        let both = says(&report, &["key", "workers      2"]);
        if both.is_ok() || Instant::now() > deadline {
            both?;
            break;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let report: serde_json::Value = home.json(&["doctor"])?;
    let findings = report["findings"].as_array().context("findings")?;
    assert!(findings.iter().all(|finding| finding["ok"] == true));

    home.ok(&["down"])?;
    assert_eq!(home.processes()?, [""; 0], "processes are left behind");
    home.ok(&["down"])?;
    let (_, said) = home.expect(3, &["status"])?;
    says(&said, &["atelier up"])?;
    home.expect(3, &["doctor"])?;

    // Everything is still there, at the same address, with the same key.
    home.ok(&["up", "--detach"])?;
    assert_eq!(home.info()?.url, info.url);
    assert_eq!(fs::read_to_string(&key)?, secret);
    says(&home.ok(&["trace", "last"])?, &["a cat and a radio"])
}

#[test]
fn recorded_ports_are_kept_or_given_up_on_demand() -> Result<()> {
    let home = Home::with_farm()?;
    home.ok(&["down"])?;
    let before = home.info()?;
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, before.http_ports[0]))?;
    let (_, said) = home.expect(1, &["up", "--detach"])?;
    says(&said, &["--free-ports", &before.http_ports[0].to_string()])?;
    home.ok(&["up", "--detach", "--free-ports"])?;
    let after = home.info()?;
    assert_ne!(after.http_ports, before.http_ports);
    assert_eq!(after.postgres_port, before.postgres_port);
    drop(taken);
    home.ok(&["status"])?;
    Ok(())
}

#[test]
fn a_key_that_the_database_does_not_know_is_replaced() -> Result<()> {
    let home = Home::with_farm()?;
    home.ok(&["down"])?;
    let key = home.farm()?.key_file();
    fs::write(&key, format!("atl_{}\n", "A".repeat(43)))?;
    home.ok(&["up", "--detach"])?;
    home.ok(&["status"])?;
    assert_eq!(fs::metadata(&key)?.permissions().mode() & 0o777, 0o600);
    Ok(())
}

#[test]
fn nobody_gets_the_test_double_by_accident() -> Result<()> {
    let home = Home::new()?;
    let arguments = ["up", "--detach", "--engine", "double"];
    let output = home
        .command(&arguments)
        .env_remove("ATELIER_ALLOW_TEST_DOUBLE")
        .output()?;
    let (_, said) = check(2, &arguments, &output)?;
    says(&said, &["ATELIER_ALLOW_TEST_DOUBLE=1"])?;
    assert!(!home.path("farm").exists());
    Ok(())
}

#[test]
fn what_is_killed_comes_back_without_help() -> Result<()> {
    let home = Home::with_farm()?;
    let submit = home
        .command(&[
            "submit",
            "--out",
            "cat.png",
            "--steps",
            "20",
            "a cat [slow:100]",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let deadline = Instant::now() + Duration::from_secs(60);
    while !home.ok(&["status"])?.contains("active") {
        ensure!(Instant::now() < deadline, "it never started");
    }
    for name in ["atelier-coordinator", "atelier-worker", "nats-server"] {
        kill_by_name(&home, name)?;
    }
    check(0, &["submit"], &submit.wait_with_output()?)?;
    assert!(is_png(&home.path("cat.png")));
    let log = fs::read_to_string(home.path("farm/logs/farm.log"))?;
    assert_eq!(
        log.matches("was killed by signal 9; it is started again")
            .count(),
        3,
        "{log}"
    );
    Ok(())
}

fn kill_by_name(home: &Home, name: &str) -> Result<()> {
    let watcher = home.farm()?.runner()?.context("the farm runs")?;
    let mut children = Vec::new();
    // A child is listed at the thread that started it.
    for task in fs::read_dir(format!("/proc/{watcher}/task"))? {
        let text = fs::read_to_string(task?.path().join("children"))?;
        children.extend(text.split_whitespace().map(str::to_owned));
    }
    let is_it = |pid: &String| {
        let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        program.file_name().is_some_and(|file| file == name)
    };
    let pid = children
        .into_iter()
        .find(is_it)
        .with_context(|| format!("{name} does not run"))?;
    let pid = Pid::from_raw(pid.parse()?).context("a process id")?;
    Ok(kill_process(pid, Signal::KILL)?)
}

#[test]
fn when_the_watcher_is_killed_nothing_is_left_and_up_starts_anew() -> Result<()> {
    let home = Home::with_farm()?;
    let watcher = home.farm()?.runner()?.context("the farm runs")?;
    let pid = Pid::from_raw(watcher.cast_signed()).context("a process id")?;
    kill_process(pid, Signal::KILL)?;
    let deadline = Instant::now() + Duration::from_secs(30);
    while !home.processes()?.is_empty() {
        ensure!(
            Instant::now() < deadline,
            "left behind: {:#?}",
            home.processes()?
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    home.ok(&["up", "--detach"])?;
    home.ok(&["submit", "--out", "cat.png", "a cat"])?;
    Ok(())
}
