//! What users and farms write for the `atelier` command.

use std::{collections::BTreeSet, time::Duration};

use atelier_cli::reading::{self, Counts, Measured};
use atelier_proto::http::{ErrorBody, Event, MAX_PROMPT_BYTES};

use crate::{
    target::{checkout, target},
    texts::{ID, samples},
};

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

target!(
    profile,
    samples(&[
        "profile = 'work'\n[profiles.work]\nurl = 'https://farm'\nkey-file = '~/key'\n[profiles.work.submit]\nthink = 'full'\npriority = 'batch'\n\
         steps = 4\nsize = '64x80'\nmax-rounds = 3\n[profiles.home]\n",
        "",
    ]),
    |bytes: &[u8]| {
        let text = text(bytes)?;
        let chosen = reading::profile(text, None);
        let config: toml::Table = toml::from_str(text).ok()?;
        let profiles = config.get("profiles").and_then(toml::Value::as_table);
        for name in profiles.into_iter().flat_map(toml::Table::keys) {
            let Ok(profile) = reading::profile(text, Some(name)) else {
                // Then there is something wrong with the file, whatever is asked for.
                assert!(chosen.is_err());
                return None;
            };
            let profile = profile.expect("it is there");
            match reading::submit("a cat", &profile.submit) {
                Ok(body) => assert!(
                    body.size
                        .is_none_or(|size| size.width > 0 && size.height > 0)
                ),
                Err(error) => assert!(error.to_string().starts_with("submit.")),
            }
        }
        if profiles.is_none_or(|profiles| !profiles.contains_key("nobody")) {
            assert!(reading::profile(text, Some("nobody")).is_err());
        }
        chosen.ok().map(|_| ())
    }
);
target!(
    batch,
    samples(&[
        "{\"prompt\":\"a cat\"}\n\n{ \"prompt\": \"a dog\", \"seed\": 1, \"priority\": \"interactive\" }\r\n{\"prompt\":\"a cat\",\"size\":{\"width\":64,\"height\":96}}",
    ]),
    |bytes: &[u8]| {
        let lines = reading::batch("cats.jsonl", text(bytes)?).ok()?;
        assert!(lines.is_sorted_by(|one, other| one.number < other.number));
        let keys: BTreeSet<&str> = lines.iter().map(|line| line.key.as_str()).collect();
        assert!(keys.len() == lines.len() && keys.iter().all(|key| key.len() <= 255));
        // Every line keeps its key when the file is sent again, however it is written.
        let last = lines.last()?.number;
        let mut file = vec![String::new(); last];
        for line in &lines {
            assert!((1..=MAX_PROMPT_BYTES).contains(&line.body.prompt.len()));
            let body = serde_json::to_string(&line.body);
            file[line.number - 1] = body.expect("a request can be written");
        }
        let again = reading::batch("cats.jsonl", &file.join("\n")).expect("it is read again");
        assert_eq!(again.len(), lines.len());
        for (one, other) in lines.iter().zip(&again) {
            assert_eq!(
                (one.number, &one.key, &one.body),
                (other.number, &other.key, &other.body)
            );
        }
        Some(())
    }
);
target!(
    batch_results,
    samples(&[&format!(
        "{{\"line\":2,\"key\":\"batch-b\",\"state\":\"failed\",\"reason\":\"no\",\"prompt\":\"a dog\"}}\n\
         {{\"line\":1,\"key\":\"batch-a\",\"state\":\"succeeded\",\"id\":\"{ID}\",\"seed\":18446744073709551615,\"picture\":\"0001.png\",\
         \"score\":{{\"pass\":1,\"fail\":0,\"unknown\":0}},\"prompt\":\"a cat\"}}\n\
         {{\"line\":3,\"key\":\"ba"
    )]),
    |bytes: &[u8]| {
        let (results, odd) = reading::batch_results(bytes);
        assert!(results.iter().all(|(line, result)| *line == result.line));
        let written = reading::batch_file(&results).expect("what was read can be written");
        assert_eq!(reading::batch_results(&written), (results, false));
        (!odd).then_some(())
    }
);
target!(
    suite,
    vec![
        std::fs::read(checkout("tests/prompts/eval-smoke.jsonl")).expect("the checkout is whole"),
        // GenEval's form.
        concat!(
            r#"{"tag": "counting", "include": [{"class": "clock", "count": 2}], "exclude": [{"class": "clock", "count": 3}], "prompt": "two clocks"}"#,
            "\n\n",
            r#"{"tag": "position", "include": [{"class": "tie", "count": 1}, {"class": "dog", "count": 1, "color": "red", "position": ["right of", 0]}],
                "prompt": "a red dog right of a tie", "id": "p-1", "k": 4}"#,
        )
        .replace("\n    ", " ")
        .into_bytes(),
    ],
    |bytes: &[u8]| {
        let cases = match reading::suite(text(bytes)?) {
            Ok(cases) => cases,
            Err(error) => {
                assert!(!error.is_empty());
                return None;
            }
        };
        let ids: BTreeSet<&str> = cases.iter().map(|case| case.id.as_str()).collect();
        assert_eq!(ids.len(), cases.len());
        // They become names of files.
        assert!(
            ids.iter()
                .all(|id| !id.is_empty() && id.len() <= 64 && !id.contains('/'))
        );
        let mut file = String::new();
        for case in &cases {
            assert_eq!(case.truth.check(), Ok(()));
            let mut case = case.clone();
            // GenEval may count otherwise.
            case.k = case.truth.atoms();
            file += &serde_json::to_string(&case).expect("a case can be written");
            file += "\n";
        }
        let again = reading::suite(&file).expect("it is read again");
        for (one, other) in cases.iter().zip(&again) {
            assert_eq!(
                (&one.id, &one.category, &one.prompt, &one.truth),
                (&other.id, &other.category, &other.prompt, &other.truth)
            );
        }
        assert_eq!(again.len(), cases.len());
        Some(())
    }
);
target!(
    events,
    samples(&[
        ": hello\n\nevent: progress\nid: 3\ndata: {\"type\": \"progress\", \"kind\": \"render\", \"step\": 1, \"total\": 2}\n\n\
         data:{\"type\": \"progress\",\r\ndata: \"kind\": \"plan\", \"step\": 1, \"total\": 2}\r\n\r\ndata: not over",
    ]),
    |bytes: &[u8]| {
        let whole = reading::events(&[bytes]).ok()?;
        // However the bytes are cut, and however lines end, the events are the same.
        let pieces: Vec<&[u8]> = bytes.chunks(bytes.len() / 64 + 1).collect();
        assert_eq!(reading::events(&pieces).ok().as_ref(), Some(&whole));
        let plain = bytes.iter().filter(|byte| **byte != b'\r');
        let ends: Vec<u8> = plain
            .flat_map(|byte| match byte {
                b'\n' => vec![b'\r', b'\n'],
                byte => vec![*byte],
            })
            .collect();
        assert_eq!(reading::events(&[&ends]).ok().as_ref(), Some(&whole));
        let read = |event: &String| serde_json::from_str::<Event>(event);
        (!whole.is_empty() && whole.iter().all(|event| read(event).is_ok())).then_some(())
    }
);
target!(
    // The header `Retry-After` in a line of its own, then the body.
    refused,
    samples(&[
        "7\n{\"error\": {\"code\": \"too_many_requests\", \"message\": \"the farm is full\"}}",
        "\n{\"error\": {\"code\": \"invalid\", \"message\": \"must be within 1..=4\", \"field\": \"max_rounds\"}}",
        "Wed, 25 Nov 2026 12:00:00 GMT\n<html>Bad Gateway</html>",
    ]),
    |bytes: &[u8]| {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let (after, body) = (&bytes[..end], &bytes[end + 1..]);
        let refused = reading::refused(429, Some(after), body).ok()?;
        match serde_json::from_slice::<ErrorBody>(body) {
            Ok(said) => {
                assert_eq!(refused.code, said.error.code);
                assert!(refused.message.ends_with(&said.error.message));
            }
            // Something else than a farm answered: its beginning says enough.
            Err(_) => {
                assert!(refused.code.is_empty() && refused.message.starts_with("429"));
                assert!(refused.message.chars().count() < 600);
            }
        }
        let seconds = text(after).and_then(|after| after.trim().parse::<u32>().ok());
        if let Some(seconds) = seconds {
            let pause = Duration::from_secs(seconds.into());
            assert_eq!(refused.retry_after, Some(pause));
        }
        let advised = refused.clone().advise(Some("the profile"));
        assert!(advised.message.starts_with(&refused.message));
        Some(())
    }
);
target!(
    metrics,
    samples(&["# TYPE atelier_jobs gauge\n\
         atelier_jobs{kind=\"render\",model=\"a\",priority=\"normal\",state=\"ready\"} 3\n\
         atelier_jobs{kind=\"plan\",model=\"a\",priority=\"batch\",state=\"dispatched\"} 2e19\n\
         atelier_oldest_ready_job_seconds{kind=\"render\",model=\"a\",priority=\"normal\"} 1.5\n\
         atelier_requests_ended_total{state=\"succeeded\"} 120\n\
         atelier_device_seconds_sum{kind=\"render\"} 180.5\n\
         atelier_workers{role=\"render\"} 2\n",]),
    |bytes: &[u8]| {
        let text = text(bytes)?;
        let measured = Measured::read(text);
        assert!(measured.device_seconds() >= 0.0 && measured.pictures.is_finite());
        // What stands there once more is added up, and never makes it less.
        let (once, twice) = (Counts::read(text), Counts::read(&format!("{text}\n{text}")));
        assert_eq!(once.succeeded, twice.succeeded);
        for (one, other) in once.queues.iter().zip(&twice.queues) {
            assert!(one.oldest_s.is_finite() && one.oldest_s == other.oldest_s);
            assert!(one.waiting <= other.waiting && one.at_work <= other.at_work);
        }
        Some(())
    }
);
