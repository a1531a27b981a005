//! Farms by name: addresses, keys and favourite options from the user's configuration file.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use anyhow::{Context, Result, ensure};
use atelier_proto::{http::RequestView, job::Think, trace::Trace};

use crate::{
    home::{Home, says},
    stub::Stub,
};

fn set_mode(file: &Path, mode: u32) -> Result<()> {
    Ok(fs::set_permissions(file, fs::Permissions::from_mode(mode))?)
}

#[test]
fn a_profile_names_a_farm_its_key_and_what_one_likes() -> Result<()> {
    let home = Home::with_farm()?;
    let url = home.info()?.url;
    let key = home.path("studio.key");
    fs::write(&key, home.ok(&["key", "create", "--tenant", "studio"])?)?;
    set_mode(&key, 0o600)?;
    let text = format!(
        "profile = \"studio\"\n\n[profiles.studio]\nurl = \"{url}\"\nkey-file = \"{}\"\n\n\
         [profiles.studio.submit]\nthink = \"off\"\nmax-rounds = 3\nsize = \"64x96\"\npriority = \"batch\"\n\n\
         [profiles.empty]\n",
        key.display()
    );
    fs::write(home.path("config.toml"), &text)?;

    let sent: RequestView =
        home.json(&["submit", "--profile", "studio", "--out", "a.png", "a cat"])?;
    let trace: Trace = serde_json::from_slice(&fs::read(home.path("a.trace.json"))?)?;
    let asked = trace.submitted;
    ensure!(
        (asked.think, asked.max_rounds) == (Think::Off, Some(3)),
        "{asked:?}"
    );
    let size = asked.size.context("a size")?;
    ensure!((size.width, size.height) == (64, 96) && asked.priority.as_str() == "batch");
    // What the command line says counts.
    let thought = [
        "submit",
        "--profile",
        "studio",
        "--think",
        "fast",
        "--out",
        "b.png",
        "a cat",
    ];
    home.ok(&thought)?;
    let trace: Trace = serde_json::from_slice(&fs::read(home.path("b.trace.json"))?)?;
    ensure!(trace.submitted.think == Think::Fast);

    // It is another tenant than that of the farm's folder, which is named by ATELIER_DATA here and goes before the file's own choice.
    let id = sent.id.to_string();
    home.expect(1, &["status", &id])?;
    home.ok(&["status", &id, "--profile", "studio"])?;
    let chosen = home
        .command(&["status", &id])
        .env_remove("ATELIER_DATA")
        .output()?;
    ensure!(chosen.status.success(), "the file's own choice");
    let named = home
        .command(&["status", &id])
        .env("ATELIER_PROFILE", "studio")
        .output()?;
    ensure!(named.status.success(), "named by the environment");

    let (_, said) = home.expect(2, &["status", "--profile", "stduio"])?;
    says(&said, &["did you mean 'studio'?"])?;
    let (_, said) = home.expect(2, &["status", "--profile", "elsewhere"])?;
    says(&said, &["there are: empty, studio"])?;
    set_mode(&key, 0o644)?;
    let (_, said) = home.expect(2, &["status", "--profile", "studio"])?;
    says(&said, &["others may read the key", "chmod 600"])?;
    fs::write(
        home.path("config.toml"),
        "[profiles.studio]\nkey = \"atl_secret\"\n",
    )?;
    let (_, said) = home.expect(2, &["status", "--profile", "studio"])?;
    says(&said, &["config.toml", "unknown field `key`"])?;
    Ok(())
}

#[test]
fn the_key_of_a_profile_goes_to_its_own_farm_only() -> Result<()> {
    let home = Home::new()?;
    let stub = Stub::start(|_, _| (200, "", "[]".into()))?;
    let key = home.path("key");
    fs::write(&key, format!("atl_{}", "A".repeat(43)))?;
    set_mode(&key, 0o600)?;
    let config = |url: &str| {
        let text = format!(
            "[profiles.a]\nurl = \"{url}\"\nkey-file = \"{}\"\n",
            key.display()
        );
        fs::write(home.path("config.toml"), text)
    };
    config("http://127.0.0.1:1")?;
    home.ok(&["workers", "--profile", "a", "--url", &stub.url])?;
    config(&stub.url)?;
    home.ok(&["workers", "--profile", "a"])?;
    let calls = stub.calls();
    ensure!(!calls[0].headers.contains("authorization"), "{calls:?}");
    ensure!(
        calls[1].headers.contains("authorization: bearer atl_"),
        "{calls:?}"
    );
    Ok(())
}
