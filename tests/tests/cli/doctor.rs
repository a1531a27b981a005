//! What `doctor` says of whatever is wrong: in which line, with which advice, and with which status it ends.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt, symlink},
        process::CommandExt,
    },
    process::Command,
};

use anyhow::{Context, Result};
use atelier_cli::servers::Parts;
use rustix::process::geteuid;

use crate::{
    home::{Home, check, says},
    stub::Stub,
};

/// Who may do nothing special.
const NOBODY: u32 = 65_534;
const ARGUMENTS: &[&str] = &["doctor"];

/// What is wrong in a report: the words that stand before each, in order.
fn wrong(report: &str) -> Vec<String> {
    let lines = report
        .lines()
        .filter_map(|line| line.strip_prefix("BAD   "));
    lines.map(|line| line[..12].trim().to_owned()).collect()
}

/// The line of one thing, and those under it.
fn said_of(report: &str, what: &str) -> Result<String> {
    let begin = format!("BAD   {what:12} ");
    let (_, found) = report
        .split_once(&begin)
        .with_context(|| format!("{what} is not wrong in\n{report}"))?;
    let mut lines = found.lines();
    let first = lines.next().into_iter();
    let under = lines.take_while(|line| line.starts_with(' '));
    Ok(first
        .chain(under)
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" "))
}

#[test]
fn a_key_of_another_farm() -> Result<()> {
    let home = Home::with_farm()?;
    let mut command = home.command(ARGUMENTS);
    command.env("ATELIER_API_KEY", format!("atl_{}", "A".repeat(43)));
    let (report, _) = check(4, ARGUMENTS, &command.output()?)?;
    assert_eq!(wrong(&report), ["key"], "{report}");
    says(
        &said_of(&report, "key")?,
        &[
            "The key came from ATELIER_API_KEY.",
            "'atelier key create' makes one",
        ],
    )
}

#[test]
fn a_farm_without_workers() -> Result<()> {
    let home = Home::new()?;
    let stub = Stub::start(|call, _| match call.target.as_str() {
        "GET /v1/workers" => (200, "", "[]".into()),
        _ => (200, "", "{}".into()),
    })?;
    let (report, _) = home.expect(1, &["doctor", "--url", &stub.url])?;
    assert_eq!(wrong(&report), ["workers"], "{report}");
    let kinds = ["plan", "render", "critique"];
    let advice =
        kinds.map(|kind| format!("nobody does {kind}: start a worker with --roles {kind}"));
    says(
        &said_of(&report, "workers")?,
        &advice.each_ref().map(String::as_str),
    )
}

#[test]
fn a_server_or_a_model_that_is_missing() -> Result<()> {
    let home = Home::new()?;
    let real = Parts::find(None);
    let (checkout, deps) = (home.path("checkout"), home.path("checkout/.deps"));
    fs::create_dir_all(deps.join("bin"))?;
    fs::create_dir_all(checkout.join("deploy/models"))?;
    let parts = [
        ("NATS", deps.join("bin/nats-server"), real.nats()?),
        ("PostgreSQL", deps.join("pg"), real.deps.join("pg")),
        (
            "model",
            checkout.join("deploy/models/atelier-mini"),
            real.model("atelier-mini")?,
        ),
        ("planner", deps.join("models"), real.deps.join("models")),
    ];
    for (_, place, original) in &parts {
        symlink(original, place)?;
    }
    // Nothing is found by chance.
    let nowhere = home.path("nowhere");
    let look = |status| {
        let mut command = home.command(ARGUMENTS);
        command.env("ATELIER_DEPS", &deps).env("PATH", &nowhere);
        anyhow::Ok(check(status, ARGUMENTS, &command.output()?)?.0)
    };
    // The farm is down all the while, which is another status where nothing else is wrong.
    let report = look(3)?;
    assert_eq!(wrong(&report), ["farm"], "{report}");
    says(&said_of(&report, "farm")?, &["atelier up"])?;
    for (what, place, original) in &parts {
        fs::remove_file(place)?;
        let report = look(1)?;
        assert_eq!(wrong(&report), [what, "farm"], "{report}");
        says(
            &said_of(&report, what)?,
            &[
                "not found",
                &place.display().to_string(),
                "run deploy/setup, or name its folder with --deps",
            ],
        )?;
        symlink(original, place)?;
    }
    Ok(())
}

#[test]
fn a_folder_that_cannot_be_written() -> Result<()> {
    let folder = tempfile::Builder::new().prefix("atelier-cli-").tempdir()?;
    let (closed, binary) = (folder.path().join("closed"), folder.path().join("atelier"));
    fs::create_dir(&closed)?;
    fs::copy(Parts::find(None).program("atelier")?, &binary)?;
    for (place, mode) in [(folder.path(), 0o755), (&*binary, 0o755), (&*closed, 0o555)] {
        fs::set_permissions(place, fs::Permissions::from_mode(mode))?;
    }
    let data = closed.join("farm");
    let mut command = Command::new(&binary);
    command
        .args(ARGUMENTS)
        .current_dir(folder.path())
        .env_clear()
        .env("ATELIER_DATA", &data);
    if geteuid().is_root() {
        // To root nothing is closed.
        command.uid(NOBODY).gid(NOBODY);
    }
    let (report, _) = check(1, ARGUMENTS, &command.output()?)?;
    says(
        &said_of(&report, "data")?,
        &[
            &format!("{} cannot be written", closed.display()),
            "name another folder with --data",
        ],
    )
}
