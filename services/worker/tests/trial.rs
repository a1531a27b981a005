//! `atelier-worker try` as people call it: the built program on real checkpoints.

#![expect(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value as Json;

fn root(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.join(path).display().to_string()
}

fn smollm() -> String {
    root(".deps/models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
}

fn mini() -> String {
    root("deploy/models/atelier-mini")
}

fn qwen3vl() -> String {
    root("services/models/tests/fixtures/parity/tiny/qwen3vl")
}

fn call(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atelier-worker"));
    command.arg("try").args(arguments);
    for name in ["ATELIER_LANGUAGE", "ATELIER_DEVICE", "ATELIER_LOG"] {
        command.env_remove(name);
    }
    command.env("ATELIER_THREADS", "1").output().unwrap()
}

#[track_caller]
fn ok(arguments: &[&str]) -> String {
    let output = call(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn json(arguments: &[&str]) -> Json {
    serde_json::from_str(&ok(&[arguments, &["--json"]].concat())).unwrap()
}

/// What an error says.
#[track_caller]
fn refused(arguments: &[&str]) -> String {
    let output = call(arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
    assert!(
        said.starts_with("error: ") && !said.contains("panicked"),
        "{said}"
    );
    said
}

#[test]
fn inspect_says_what_a_checkpoint_is() {
    let told = json(&["inspect", &smollm()]);
    assert_eq!(told["family"]["name"], "llama");
    assert_eq!(told["family"]["uses"], serde_json::json!(["say"]));
    let parameters = told["parameters"].as_u64().unwrap();
    assert!(
        (134_000_000..136_000_000).contains(&parameters),
        "{parameters}"
    );
    assert_eq!(told["memory"]["cpu"]["weights"], 4 * parameters);
    assert_eq!(told["vocabulary"], 49_152);
    assert!(told["parts"][0]["stored"]["q4_1"].as_u64().unwrap() > 100_000_000);

    let told = ok(&["inspect", &qwen3vl()]);
    for words in [
        "qwen3_vl (vision language model)",
        "atelier-worker try ask",
        "3 files",
    ] {
        assert!(told.contains(words), "{told}");
    }
    let told = json(&["inspect", &mini()]);
    let names: Vec<&str> = told["parts"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|part| part["name"].as_str())
        .collect();
    assert_eq!(
        names,
        [
            "detector",
            "judge",
            "planner",
            "renderer/transformer",
            "renderer/vae"
        ]
    );
}

#[test]
fn what_is_no_checkpoint_is_refused_with_advice() {
    assert!(refused(&["inspect", "nowhere"]).contains("there is no such file or folder"));
    assert!(refused(&["inspect", &root("services")]).contains("is no checkpoint"));
    let dir = tempfile::tempdir().unwrap();
    let damaged = dir.path().join("model.safetensors");
    let whole = std::fs::read(Path::new(&mini()).join("detector/model.safetensors")).unwrap();
    std::fs::write(&damaged, &whole[..whole.len() / 2]).unwrap();
    let said = refused(&["inspect", &damaged.display().to_string()]);
    assert!(said.contains("model.safetensors is malformed"), "{said}");
}

#[test]
fn say_writes_the_likeliest_or_what_a_seed_chooses() {
    let model = smollm();
    let say = |more: &[&str]| {
        let all = [
            &["say", &model, "Name three colours.", "--tokens", "16"],
            more,
        ]
        .concat();
        json(&all)["text"].as_str().unwrap().to_owned()
    };
    let likeliest = say(&["--temperature", "0"]);
    let told = json(&[
        "say",
        &model,
        "Once",
        "--raw",
        "--temperature",
        "0",
        "--tokens",
        "7",
    ]);
    assert_eq!(told["tokens"].as_array().unwrap().len(), 7, "{told}");
    assert_eq!(told["ended_by"], "tokens");
    // As good as 0.
    assert_eq!(say(&["--temperature", "1e-300"]), likeliest);
    assert!(likeliest.len() > 10, "{likeliest:?}");
    assert_eq!(say(&["--temperature", "0", "--seed", "9"]), likeliest);
    let chosen = say(&["--temperature", "1.5", "--seed", "9"]);
    assert_eq!(say(&["--temperature", "1.5", "--seed", "9"]), chosen);
    assert_ne!(say(&["--temperature", "1.5", "--seed", "10"]), chosen);
    // What goes to a terminal is the same text.
    let printed = ok(&[
        "say",
        &model,
        "Name three colours.",
        "--tokens",
        "16",
        "--temperature",
        "0",
    ]);
    assert_eq!(printed.trim_end(), likeliest.trim_end());
    let said = refused(&["say", &qwen3vl(), "hello"]);
    assert!(said.contains("writes no text here"), "{said}");
}

#[test]
fn draw_and_ask_with_the_default_model() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name).display().to_string();
    let prompt = "a red apple on a plain background";
    let draw = |out: &str, seed: &str| {
        let arguments = [
            "draw",
            &mini(),
            prompt,
            "--language",
            &smollm(),
            "--steps",
            "3",
            "--seed",
            seed,
            "--out",
            out,
        ];
        json(&arguments)
    };
    let told = draw(&file("one.png"), "5");
    assert_eq!((&told["width"], &told["seed"]), (&256.into(), &5.into()));
    assert_eq!(told["plan"]["elements"][0]["noun"], "apple");
    draw(&file("again.png"), "5");
    draw(&file("other.webp"), "6");
    let bytes = |name: &str| std::fs::read(PathBuf::from(file(name))).unwrap();
    assert_eq!(bytes("one.png"), bytes("again.png"));
    assert_eq!(
        image::guess_format(&bytes("other.webp")).unwrap(),
        image::ImageFormat::WebP
    );

    let told = json(&[
        "ask",
        &mini(),
        &file("one.png"),
        "a red apple",
        "--language",
        &smollm(),
    ]);
    let verdicts = told["reviews"][0]["review"]["verdicts"].as_array().unwrap();
    assert_eq!(
        verdicts.len(),
        told["reviews"][0]["checks"].as_array().unwrap().len()
    );
    assert!(verdicts.len() >= 2, "{told}");

    let said = refused(&["draw", &mini(), prompt]);
    assert!(said.contains("--language FILE"), "{said}");
    let said = refused(&[
        "draw",
        &mini(),
        prompt,
        "--language",
        &smollm(),
        "--out",
        "picture.gif",
    ]);
    assert!(said.contains(".png, .jpg or .webp"), "{said}");
    let said = refused(&[
        "draw",
        &mini(),
        prompt,
        "--language",
        &smollm(),
        "--device",
        "cuda:900",
    ]);
    assert!(said.contains("cuda:900 cannot be used: "), "{said}");
}

#[test]
fn draw_with_a_published_pipeline() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("klein.jpg").display().to_string();
    let klein = root("services/models/tests/fixtures/parity/tiny/klein");
    let told = json(&[
        "draw",
        &klein,
        "a red cat",
        "--size",
        "64x48",
        "--steps",
        "2",
        "--out",
        &out,
    ]);
    assert_eq!((&told["width"], &told["steps"]), (&64.into(), &2.into()));
    assert!(std::fs::read(&out).unwrap().starts_with(&[0xFF, 0xD8]));
    let told = json(&["inspect", &klein]);
    assert_eq!(told["family"]["uses"], serde_json::json!(["draw"]));
}

#[test]
fn ask_gives_the_probability_of_yes() {
    let picture = root("deploy/models/atelier-mini/cat-and-balloon.png");
    let questions = ["Is there a cat?", "Is the balloon red? Answer yes or no."];
    let ask = |arguments: &[&str]| {
        let mut told = json(&[&["ask", &qwen3vl(), &picture][..], arguments].concat());
        assert!(told["picture_tokens"].as_u64().unwrap() > 4);
        told["answers"].take()
    };
    let together = ask(&questions);
    assert_eq!(together.as_array().unwrap().len(), 2);
    for (index, question) in questions.iter().enumerate() {
        let alone = ask(&[question]);
        assert_eq!(alone[0]["question"], *question);
        let yes = |told: &Json| told["yes"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&yes(&alone[0])));
        assert!((yes(&alone[0]) - yes(&together[index])).abs() < 1e-4);
        assert_eq!(alone[0]["answer"], together[index]["answer"]);
    }
    let words = ask(&[questions[0], "--words", "4"]);
    assert!(words[0]["words"].is_string());
    let said = refused(&["ask", &smollm(), &picture, "Is there a cat?"]);
    assert!(said.contains("answers nothing about pictures"), "{said}");
    let said = refused(&["ask", &qwen3vl(), &root("README.md"), "Is there a cat?"]);
    assert!(
        said.contains("README.md is not a PNG, JPEG or WebP picture"),
        "{said}"
    );
}

#[test]
fn help_teaches() {
    let output = call(&["--help"]);
    let help = String::from_utf8(output.stdout).unwrap();
    for words in ["try inspect", "try say", "try draw", "try ask", "MODEL is"] {
        assert!(help.contains(words), "{help}");
    }
    assert_eq!(call(&["sing"]).status.code(), Some(2));
}
