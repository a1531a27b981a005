//! `eval`: every arm drawn, graded by a program that anybody may bring, added up, and gone on with.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use atelier_proto::http::RequestList;
use serde_json::Value;

use crate::home::{Home, is_png, says};

/// Accepts what a thinking arm delivers and nothing else, and never what it drew first.
const JUDGE: &str = r#"echo '{"judge":"script","errors":[{"pictures":"everything right","right":true,"number":10,"accepted":9}]}'
while read -r line; do
  id=$(printf '%s' "$line" | sed 's/^{"id":"\([^"]*\)".*/\1/')
  case "$line" in
    *'.first.png"'*) ok=false ;;
    '{"id":"fast/'*) ok=true ;;
    *) ok=false ;;
  esac
  printf '{"id":"%s","correct":%s,"checks":[{"kind":"count","about":"1 x cat","ok":%s},{"kind":"exclude","about":"fewer","ok":true}]}\n' "$id" $ok $ok
done
"#;

/// Likes second drawings best.
const CRITIC: &str = r#"while read -r line; do
  id=$(printf '%s' "$line" | sed 's/^{"id":"\([^"]*\)".*/\1/')
  case "$id" in *-2) ok=true ;; *) ok=false ;; esac
  printf '{"id":"%s","correct":%s,"checks":[{"kind":"presence","about":"k1","ok":%s}]}\n' "$id" $ok $ok
done
"#;

const SUITE: &str = r#"{"id":"one","category":"single_object","k":1,"prompt":"a cat [slow:20] [misses]","things":[{"noun":"cat"}],"exclude":[{"noun":"cat","count":2}]}
{"id":"two","category":"two_object","k":3,"prompt":"a red cat and a dog [slow:20] [misses]","things":[{"noun":"cat","color":"red"},{"noun":"dog"}]}

{"tag":"counting","include":[{"class":"clock","count":2}],"exclude":[{"class":"clock","count":3}],"prompt":"a photo of two clocks [slow:20] [misses]"}
{"tag":"position","include":[{"class":"tie","count":1},{"class":"dog","count":1,"position":["left of",0]}],"prompt":"a photo of a dog left of a tie [slow:20] [misses]"}
{"id":"lost","category":"two_object","k":2,"prompt":"a fox and an owl [impossible:render]","things":[{"noun":"fox"},{"noun":"owl"}]}
"#;

#[test]
fn arms_are_drawn_once_and_compared_by_a_judge_of_ones_own() -> Result<()> {
    let home = Home::with_farm()?;
    fs::write(home.path("suite.jsonl"), SUITE)?;
    let script = |name: &str, text: &str| -> Result<String> {
        let path = home.path(name);
        fs::write(&path, text)?;
        Ok(format!("sh {}", path.display()))
    };
    let (judge, critic) = (script("judge.sh", JUDGE)?, script("critic.sh", CRITIC)?);
    let call = [
        "eval",
        "suite.jsonl",
        "--arms",
        "best_of_n,fast",
        "--judge",
        &judge,
        "--critic",
        &critic,
        "--in-flight",
        "3",
    ];
    let (told, said) = home.expect(0, &[&call[..], &["--json", "eval.json"]].concat())?;
    says(
        &told,
        &[
            "all correct",
            "fast_first",
            "plans have",
            "mended",
            "fast vs off",
            "judge: script",
            "wrongly rejected 1 of 10",
        ],
    )?;
    says(&said, &["fast/lost: no picture"])?;
    let document = read(&home.path("eval.json"))?;
    let summary = &document["summary"];
    assert_eq!(summary["prompts"], 5);
    // Only what thinks has plans; a request that failed while it was drawn had one.
    assert!(summary["plans"]["off"].is_null(), "{}", summary["plans"]);
    let planned = &summary["plans"]["fast"];
    assert_eq!(planned["things"]["asked"], 8, "{planned}");
    assert_eq!(planned["all"]["asked"], 5, "{planned}");
    assert_eq!(planned["changes"]["asked"], 0, "{planned}");
    let share = |arm: &str, category: &str| summary["arms"][arm][category]["all_correct"].as_f64();
    assert_eq!(
        (
            share("fast", "all"),
            share("off", "all"),
            share("best_of_n", "all")
        ),
        (Some(0.8), Some(0.0), Some(0.0))
    );
    assert_eq!(
        (share("fast", "single_object"), share("fast", "two_object")),
        (Some(1.0), Some(0.5))
    );
    assert_eq!(summary["arms"]["off"]["single_object"]["share"], 0.5);
    // Every drawing that critique made anew was judged wrong first.
    let again: u64 = ["one", "two", "00003", "00004"]
        .iter()
        .map(|id| {
            u64::from(is_png(
                &home.path(&format!("suite-eval/fast/{id}.first.png")),
            ))
        })
        .sum();
    ensure!(again > 0, "nothing was drawn anew");
    assert_eq!(summary["critique"]["mended"], again);
    assert_eq!(summary["critique"]["broken"], 0);
    let versus = &summary["elo"]["fast_vs_off"];
    assert_eq!(
        (&versus["wins"], &versus["losses"], &versus["ties"]),
        (&4.into(), &0.into(), &1.into())
    );
    ensure!(
        versus["value"].as_f64() > Some(100.0) && versus["low"].as_f64() > Some(0.0),
        "{versus}"
    );
    assert_eq!(summary["cost"]["fast"]["failed"], 1);
    // The rival had as much of the device, and its pictures are among what was drawn for it.
    let (rival, fast) = (&summary["cost"]["best_of_n"], &summary["cost"]["fast"]);
    let (seconds, spent) = (
        rival["device_s"].as_f64().context("seconds")?,
        fast["device_s"].as_f64().context("seconds")?,
    );
    ensure!(
        rival["drawings"].as_f64() > Some(1.0) && (seconds / spent - 1.0).abs() < 0.5,
        "{rival} {fast}"
    );
    ensure!(is_png(&home.path("suite-eval/sheet.png")));

    // The same command again draws only what failed, and says the same.
    let before = known(&home)?;
    let failed = |arm: &str| summary["cost"][arm]["failed"].as_u64();
    home.ok(&[&call[..], &["--json", "again.json"]].concat())?;
    assert_eq!(
        (known(&home)? - before) as u64,
        failed("fast").context("fast")? + failed("off").context("off")? + more_failed(&home)?,
        "what was sent before is the same request"
    );
    assert_eq!(
        read(&home.path("again.json"))?["summary"]["arms"],
        summary["arms"]
    );
    Ok(())
}

#[test]
fn what_the_judge_cannot_tell_is_left_out() -> Result<()> {
    let home = Home::with_farm()?;
    let suite = r#"{"id":"known","category":"single_object","k":1,"prompt":"a cat [slow:1]","things":[{"noun":"cat"}]}
{"id":"odd","category":"single_object","k":1,"prompt":"a gizmo [slow:1]","things":[{"noun":"gizmo"}]}
"#;
    fs::write(home.path("suite.jsonl"), suite)?;
    let judge = r#"while read -r line; do
  id=$(printf '%s' "$line" | sed 's/^{"id":"\([^"]*\)".*/\1/')
  case "$id" in */known) more=true ;; *) more='false,"error":"no gizmos"' ;; esac
  printf '{"id":"%s","correct":%s}\n' "$id" "$more"
done
"#;
    fs::write(home.path("judge.sh"), judge)?;
    let judge = format!("sh {}", home.path("judge.sh").display());
    let call = ["eval", "suite.jsonl", "--arms", "fast", "--judge", &judge];
    let told = home.ok(&call)?;
    says(&told, &["it cannot tell 1 prompts", "odd: no gizmos"])?;
    let document = read_text(&home.ok(&[&call[..], &["--json", "-"]].concat())?)?;
    let summary = &document["summary"];
    assert_eq!(summary["prompts"], 1);
    assert_eq!(summary["arms"]["fast"]["all"]["all_correct"], 1.0);
    assert_eq!(summary["untold"]["odd"], "no gizmos");
    // Another folder is another run.
    let before = known(&home)?;
    home.ok(&[&call[..], &["--out", "b"]].concat())?;
    assert_eq!(known(&home)?, before + 2);
    // A picture that is no picture is no property of its prompt: leaving it out would favour its arm.
    let judge = r#"while read -r line; do
  id=$(printf '%s' "$line" | sed 's/^{"id":"\([^"]*\)".*/\1/')
  case "$id" in fast/*) more=true ;; *) more='false,"error":"no PNG"' ;; esac
  printf '{"id":"%s","correct":%s}\n' "$id" "$more"
done
"#;
    fs::write(home.path("judge.sh"), judge)?;
    let judge = format!("sh {}", home.path("judge.sh").display());
    let call = [
        "eval",
        "suite.jsonl",
        "--arms",
        "off,fast",
        "--judge",
        &judge,
    ];
    let (_, said) = home.expect(1, &call)?;
    says(&said, &["can tell one picture and not another: no PNG"])?;
    Ok(())
}

#[test]
fn a_wrong_suite_or_judge_costs_no_drawing() -> Result<()> {
    let home = Home::with_farm()?;
    fs::write(
        home.path("bad.jsonl"),
        "{\"id\":\"a\"}\n{\"tag\":1,\"include\":[]}\n",
    )?;
    let (_, said) = home.expect(2, &["eval", "bad.jsonl"])?;
    says(
        &said,
        &[
            "line 1: missing field",
            "line 2: invalid type",
            "nothing was drawn",
        ],
    )?;
    fs::write(home.path("suite.jsonl"), SUITE)?;
    home.expect(1, &["eval", "suite.jsonl", "--judge", "/no/such/judge"])?;
    home.expect(2, &["eval", "no-such-suite.jsonl"])?;
    assert_eq!(known(&home)?, 0);
    Ok(())
}

fn read(file: &Path) -> Result<Value> {
    Ok(serde_json::from_slice(&fs::read(file)?)?)
}

fn read_text(text: &str) -> Result<Value> {
    serde_json::from_str(text).with_context(|| text.to_owned())
}

/// How many further drawings of best_of_n have no picture.
fn more_failed(home: &Home) -> Result<u64> {
    let mut failed = 0;
    for entry in fs::read_dir(home.path("suite-eval/best_of_n"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "json") {
            failed += u64::from(read(&path)?["has_picture"] == false);
        }
    }
    Ok(failed)
}

/// How many requests the farm knows.
fn known(home: &Home) -> Result<usize> {
    let list: RequestList = home.json(&["list", "--all"])?;
    Ok(list.requests.len())
}
