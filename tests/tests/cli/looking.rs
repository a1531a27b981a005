//! Ways to look at a farm: YAML, `top`, `open`, pictures in the terminal, manual pages.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::fs::PermissionsExt,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};

use crate::home::{Home, check, says};

#[test]
fn a_farm_is_looked_at() -> Result<()> {
    let home = Home::with_farm()?;
    let id = home.submit(&["a cat [slow:400]"])?.id.to_string();
    top(&home).context("top")?;
    home.ok(&["watch", &id])?;
    yaml(&home, &id).context("yaml")?;
    open(&home, &id).context("open")?;
    pictures(&home).context("pictures")
}

fn top(home: &Home) -> Result<()> {
    let once = home.ok(&["top", "--once"])?;
    says(
        &once,
        &[
            "Farm at http://127.0.0.1",
            "pictures",
            "AT WORK",
            "plan",
            "render",
            "critique",
            "double",
            "a cat",
        ],
    )?;
    ensure!(!once.contains('\u{1b}'), "colours in a file");
    let seen: serde_json::Value = home.json(&["top"])?;
    ensure!(
        seen["queues"]
            .as_array()
            .is_some_and(|queues| queues.len() == 3),
        "{seen}"
    );
    ensure!(seen["active"][0]["prompt"] == "a cat [slow:400]", "{seen}");
    ensure!(seen["workers"][0]["device"] == "double", "{seen}");
    // Without a terminal it goes on in plain text, until somebody ends it.
    let mut child = home
        .command(&["top", "--interval", "1"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().context("it is piped")?;
    let mut shown = BufReader::new(stdout);
    let mut out = String::new();
    while out.matches("Farm at").count() < 2 {
        ensure!(shown.read_line(&mut out)? > 0, "{out}");
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT)?;
    shown.read_to_string(&mut out)?;
    check(0, &["top"], &child.wait_with_output()?)?;
    ensure!(out.contains(" a second;"), "{out}");
    Ok(())
}

fn yaml(home: &Home, id: &str) -> Result<()> {
    let one = home.ok(&["status", id, "--output", "yaml"])?;
    says(
        &one,
        &[
            &format!("id: \"{id}\"\n"),
            "state: \"succeeded\"\n",
            "jobs:\n  - attempt: 1\n",
        ],
    )?;
    let list = home.ok(&["list", "--output", "yaml"])?;
    says(&list, &["requests:\n  - ", &format!("id: \"{id}\"")])?;
    let keys = home.ok(&["key", "list", "--output", "yaml"])?;
    says(&keys, &["- ", "tenant: \"local\"\n"])
}

fn open(home: &Home, id: &str) -> Result<()> {
    let url = home.info()?.url;
    ensure!(home.ok(&["open", "--print"])? == format!("{url}/\n"));
    // A browser that writes down what it is told to show.
    let (browser, shown) = (home.path("browser"), home.path("shown"));
    fs::write(
        &browser,
        format!(
            "#!/bin/sh\necho \"$1\" > '{0}.new' && mv '{0}.new' '{0}'\n",
            shown.display()
        ),
    )?;
    fs::set_permissions(&browser, fs::Permissions::from_mode(0o755))?;
    let arguments = ["open", &id[24..]];
    let done = home.command(&arguments).env("BROWSER", &browser).output()?;
    let (out, _) = check(0, &arguments, &done)?;
    let page = format!("{url}/requests/{id}\n");
    ensure!(out == page, "{out}");
    for _ in 0..200 {
        if shown.exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    ensure!(fs::read_to_string(&shown)? == page);
    Ok(())
}

fn pictures(home: &Home) -> Result<()> {
    let drawn = |how: &str| {
        home.ok(&[
            "submit",
            "--seed",
            "1",
            "--out",
            "a.png",
            "--preview",
            how,
            "a cat",
        ])
    };
    ensure!(
        !drawn("auto")?.contains('\u{1b}'),
        "no terminal, no picture"
    );
    ensure!(!drawn("none")?.contains('\u{1b}'));
    says(
        &drawn("sixel")?,
        &["\u{1b}P0;1;0q\"1;1;384;384#", "\u{1b}\\\npicture   a.png\n"],
    )?;
    says(&drawn("kitty")?, &["\u{1b}_Gf=100,a=T,"])?;
    ensure!(drawn("blocks")?.contains('▀'));
    let iterm = drawn("iterm")?;
    let data = iterm
        .split_once("preserveAspectRatio=1:")
        .context("the sequence")?
        .1;
    let data = data.split_once('\u{7}').context("its end")?.0;
    ensure!(BASE64_STANDARD.decode(data)? == fs::read(home.path("a.png"))?);
    Ok(())
}

#[test]
fn every_command_has_a_manual_page() -> Result<()> {
    let home = Home::new()?;
    let said = home.ok(&["man", "--out", "man1"])?;
    let pages: Vec<String> = fs::read_dir(home.path("man1"))?
        .map(|page| Ok(page?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    ensure!(said == format!("{} pages in man1\n", pages.len()), "{said}");
    for page in [
        "atelier.1",
        "atelier-submit.1",
        "atelier-key-create.1",
        "atelier-top.1",
    ] {
        ensure!(
            pages.iter().any(|known| known == page),
            "{page} is none of {pages:?}"
        );
    }
    let submit = fs::read_to_string(home.path("man1/atelier-submit.1"))?;
    says(&submit, &[".TH atelier-submit 1", "\\-\\-max\\-rounds"])?;
    says(&home.ok(&["man"])?, &[".TH atelier 1"])
}
