//! The `atelier` command as people use it: a farm of its own, requests, traces, errors, exit statuses.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use atelier_cli::{farm::DataDir, servers::Parts};
use atelier_proto::{http::RequestView, trace::Trace};

/// One farm in a folder of its own; whatever happens, it is stopped at the end.
struct Home {
    folder: tempfile::TempDir,
    binary: PathBuf,
}

impl Home {
    fn new() -> Result<Self> {
        let binary = Parts::find(None).program("atelier")?;
        Ok(Self {
            folder: tempfile::Builder::new().prefix("atelier-cli-").tempdir()?,
            binary,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("ATELIER_ENGINE", "double")
            .env("ATELIER_ALLOW_TEST_DOUBLE", "1")
            .env("ATELIER_DATA", self.path("farm"))
            .env_remove("ATELIER_SERVER");
        command
    }

    fn run(&self, arguments: &[&str]) -> Result<Output> {
        Ok(self.command(arguments).output()?)
    }

    /// Runs a command that must end with `code`; its stdout and stderr.
    fn expect(&self, code: i32, arguments: &[&str]) -> Result<(String, String)> {
        let output = self.run(arguments)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        ensure!(
            output.status.code() == Some(code),
            "{arguments:?}: {}\n{out}{err}",
            output.status
        );
        Ok((out, err))
    }

    fn farm(&self) -> Result<DataDir> {
        DataDir::at(&self.path("farm"))
    }

    /// Processes that still have to do with this farm; the command line of each names its folder.
    fn processes(&self) -> Result<Vec<String>> {
        let mark = self.folder.path().display().to_string();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let command = fs::read(entry?.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            if command.contains(&mark) {
                found.push(command);
            }
        }
        Ok(found)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = self.run(&["down"]);
        if std::thread::panicking() {
            for log in fs::read_dir(self.path("farm/logs"))
                .into_iter()
                .flatten()
                .flatten()
            {
                eprintln!(
                    "--- {} ---\n{}",
                    log.path().display(),
                    fs::read_to_string(log.path()).unwrap_or_default()
                );
            }
        }
    }
}

fn is_png(file: &Path) -> bool {
    image::open(file).is_ok() && fs::read(file).is_ok_and(|bytes| bytes.starts_with(b"\x89PNG"))
}

#[test]
fn a_farm_from_up_to_down() -> Result<()> {
    let home = Home::new()?;
    let (_, said) = home.expect(0, &["up", "--detach"])?;
    assert!(said.contains("farm ready"), "{said}");
    let (_, said) = home.expect(0, &["up", "--detach"])?;
    assert!(said.contains("runs already"), "{said}");
    home.expect(1, &["up"])?;

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
    assert!(is_png(&home.path("cat.png")), "{out}");
    assert!(
        said.contains("plan: done") && said.contains("draw out: done"),
        "{said}"
    );
    let trace: Trace = serde_json::from_slice(&fs::read(home.path("cat.trace.json"))?)?;
    assert_eq!(trace.submitted.prompt, "a cat and a radio");
    let id = trace.request.to_string();
    assert!(out.contains(&id), "{out}");

    let (story, _) = home.expect(0, &["trace", &id])?;
    for part in [
        "a cat and a radio",
        "element    cat",
        "draw out (generate): done",
        "checks passed",
    ] {
        assert!(story.contains(part), "{part:?} is not in\n{story}");
    }
    let (json, _) = home.expect(0, &["trace", "last", "--json"])?;
    assert_eq!(serde_json::from_str::<Trace>(&json)?, trace);
    home.expect(0, &["download", "last", "--out", "again.png", "--trace"])?;
    assert_eq!(
        fs::read(home.path("again.png"))?,
        fs::read(home.path("cat.png"))?
    );
    assert!(home.path("again.trace.json").is_file());

    let (json, _) = home.expect(0, &["submit", "--json", "a dog"])?;
    let view: RequestView = serde_json::from_str(&json)?;
    assert!(view.state.is_terminal() && json.contains("picture_file"));
    let (out, _) = home.expect(
        0,
        &["submit", "--no-wait", "--steps", "200", "a fox [slow:200]"],
    )?;
    let fox = out.trim();
    assert!(home.expect(0, &["status", fox])?.0.contains("active"));
    home.expect(0, &["cancel", fox])?;
    let (_, said) = home.expect(1, &["submit", "a cat [impossible:render]"])?;
    assert!(said.contains("told to be impossible"), "{said}");
    let (list, _) = home.expect(0, &["status"])?;
    assert!(
        list.contains(&id) && list.contains("canceled") && list.contains("failed"),
        "{list}"
    );
    home.expect(0, &["doctor"])?;

    home.expect(0, &["down"])?;
    assert_eq!(home.processes()?, [""; 0], "processes are left behind");
    home.expect(0, &["down"])?;
    let (_, said) = home.expect(3, &["status"])?;
    assert!(
        said.contains("atelier up"),
        "it says how to start one: {said}"
    );

    // Everything is still there, at the same address.
    let before = home.farm()?.info().context("farm.json")?.server;
    home.expect(0, &["up", "--detach"])?;
    assert_eq!(home.farm()?.info().context("farm.json")?.server, before);
    assert!(
        home.expect(0, &["trace", &id])?
            .0
            .contains("a cat and a radio")
    );
    Ok(())
}

#[test]
fn what_is_killed_comes_back_without_help() -> Result<()> {
    let home = Home::new()?;
    home.expect(0, &["up", "--detach"])?;
    let submit = home
        .command(&[
            "submit",
            "--out",
            "cat.png",
            "--steps",
            "20",
            "a cat [slow:100]",
        ])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()?;
    let deadline = Instant::now() + Duration::from_secs(60);
    while !home.expect(0, &["status"])?.0.contains("active") {
        ensure!(Instant::now() < deadline, "it never started");
    }
    for name in ["atelier-coordinator", "atelier-worker", "nats-server"] {
        kill_by_name(&home, name)?;
    }
    let output = submit.wait_with_output()?;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
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
    let children =
        fs::read_to_string(format!("/proc/{watcher}/task/{watcher}/children")).unwrap_or_default();
    let mut all: Vec<String> = children.split_whitespace().map(str::to_owned).collect();
    // A child is listed at the thread that started it.
    for task in fs::read_dir(format!("/proc/{watcher}/task"))? {
        let children = fs::read_to_string(task?.path().join("children"))?;
        all.extend(children.split_whitespace().map(str::to_owned));
    }
    let is_it = |pid: &String| {
        let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        program.ends_with(name) || program.file_name().is_some_and(|file| file == name)
    };
    let pid = all
        .into_iter()
        .find(is_it)
        .with_context(|| format!("{name} does not run"))?;
    let pid = rustix::process::Pid::from_raw(pid.parse()?).context("a process id")?;
    Ok(rustix::process::kill_process(
        pid,
        rustix::process::Signal::KILL,
    )?)
}

#[test]
fn when_the_watcher_is_killed_nothing_is_left_and_up_starts_anew() -> Result<()> {
    let home = Home::new()?;
    home.expect(0, &["up", "--detach"])?;
    let watcher = home.farm()?.runner()?.context("the farm runs")?;
    let pid = rustix::process::Pid::from_raw(watcher.cast_signed()).context("a process id")?;
    rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
    let deadline = Instant::now() + Duration::from_secs(30);
    while !home.processes()?.is_empty() {
        ensure!(
            Instant::now() < deadline,
            "left behind: {:#?}",
            home.processes()?
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    home.expect(0, &["up", "--detach"])?;
    home.expect(0, &["submit", "--out", "cat.png", "a cat"])?;
    Ok(())
}

#[test]
fn wrong_usage_is_told_apart_from_failure() -> Result<()> {
    let home = Home::new()?;
    for arguments in [
        &["submit"][..],
        &["submit", "--size", "big", "a cat"],
        &["submit", "--max-rounds", "9", "a cat"],
        &["submit", "--server", "nowhere", "a cat"],
        &["submit", "--ref", "cat=missing.png", "a cat"],
        &["submit", "  "],
        &["no-such-command"],
    ] {
        let (_, said) = home.expect(2, arguments)?;
        assert!(!said.is_empty());
    }
    let (_, said) = home.expect(3, &["submit", "a cat"])?;
    assert!(said.contains("atelier up --detach"), "{said}");
    home.expect(3, &["status", "--server", "http://127.0.0.1:1"])?;
    home.expect(0, &["down"])?;
    Ok(())
}

#[test]
fn help_names_every_command_and_completions_are_scripts() -> Result<()> {
    let home = Home::new()?;
    let (help, _) = home.expect(0, &["--help"])?;
    for command in [
        "up",
        "down",
        "submit",
        "status",
        "trace",
        "download",
        "cancel",
        "doctor",
        "completions",
    ] {
        assert!(
            help.lines()
                .any(|line| line.trim_start().starts_with(command)),
            "{command}: {help}"
        );
        assert!(home.expect(0, &[command, "--help"])?.0.contains("Usage"));
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            home.expect(0, &["completions", shell])?
                .0
                .contains("submit")
        );
    }
    Ok(())
}
