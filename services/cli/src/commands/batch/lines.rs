//! From a file to requests, each with the idempotency key that makes it the same one whenever the file is sent again.

use std::{fs, io::Read, path::Path};

use anyhow::{Context, Result};
use atelier_proto::{http::SubmitRequest, job::Priority};
use sha2::{Digest, Sha256};

use crate::{commands::options::check_prompt, exit::Usage, show};

/// Most wrong lines that are told at once.
const TOLD: usize = 5;

/// One request of the file.
#[derive(Clone, Debug)]
pub struct Line {
    /// Number in the file, from 1.
    pub number: usize,
    /// Idempotency key: the same for the same body in the same line of a file of the same name.
    pub key: String,
    /// What is sent.
    pub body: SubmitRequest,
}

/// Reads the whole file: a wrong line is told before anything is sent. Empty lines count and are skipped.
pub fn read(file: &Path, priority: Priority) -> Result<Vec<Line>> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let text = match file == Path::new("-") {
        true => {
            let mut text = String::new();
            std::io::stdin().lock().read_to_string(&mut text)?;
            text
        }
        false => fs::read_to_string(file)
            .map_err(|error| Usage(format!("cannot read {}: {error}", file.display())))?,
    };
    parse(&file.display().to_string(), &name, &text, priority)
}

/// The same from the text of the file. `name` goes into the keys, `shown` is what the file is called where something is wrong with it.
pub fn parse(shown: &str, name: &str, text: &str, priority: Priority) -> Result<Vec<Line>> {
    let (mut lines, mut wrong) = (Vec::new(), Vec::new());
    for (index, text) in text.lines().enumerate() {
        if text.trim().is_empty() {
            continue;
        }
        match line(name, index + 1, text, priority) {
            Ok(line) => lines.push(line),
            Err(error) => wrong.push(format!("  line {}: {error:#}", index + 1)),
        }
    }
    if !wrong.is_empty() {
        let more = wrong.len().saturating_sub(TOLD);
        wrong.truncate(TOLD);
        let more = (more > 0).then(|| format!("\n  and {more} more"));
        let message = format!(
            "{shown} has lines that are no requests; nothing was sent\n{}{}",
            show::multiline(&wrong.join("\n")),
            more.unwrap_or_default()
        );
        return Err(Usage(message).into());
    }
    if lines.is_empty() {
        return Err(Usage(format!("{shown} has no requests")).into());
    }
    Ok(lines)
}

fn line(name: &str, number: usize, text: &str, priority: Priority) -> Result<Line> {
    let mut value: serde_json::Value = serde_json::from_str(text)?;
    let object = value
        .as_object_mut()
        .context("a request looks like {\"prompt\": \"a cat\"}")?;
    if !object.contains_key("priority") {
        object.insert("priority".into(), priority.as_str().into());
    }
    let body: SubmitRequest = serde_json::from_value(value)?;
    check_prompt(&body.prompt)?;
    let mut digest = Sha256::new();
    digest.update(format!("{name}\n{number}\n"));
    digest.update(serde_json::to_vec(&body)?);
    let key = format!("batch-{}", atelier_proto::Sha256(digest.finalize().into()));
    Ok(Line { number, key, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cats.jsonl");
        fs::write(&file, text).unwrap();
        (folder, file)
    }

    #[test]
    fn a_line_keeps_its_key_when_lines_are_added_and_loses_it_when_it_changes() {
        let (_one, before) = write("{\"prompt\":\"a cat\"}\n\n{\"prompt\":\"a dog\",\"seed\":1}\n");
        let (_two, after) = write(
            "{ \"prompt\": \"a cat\" }\n\n{\"prompt\":\"a dog\",\"seed\":2}\n{\"prompt\":\"a fox\"}",
        );
        let before = read(&before, Priority::Batch).unwrap();
        let after = read(&after, Priority::Batch).unwrap();
        assert_eq!(before[0].key, after[0].key, "white space is nothing");
        assert_ne!(before[1].key, after[1].key);
        let numbers: Vec<usize> = after.iter().map(|line| line.number).collect();
        assert_eq!(numbers, [1, 3, 4]);
        assert_eq!(after[0].body.priority, Priority::Batch);
        assert!(after[0].key.len() <= 255);
    }

    #[test]
    fn what_a_line_says_goes_before_the_command_line() {
        let (_folder, file) = write("{\"prompt\":\"a cat\",\"priority\":\"interactive\"}");
        let lines = read(&file, Priority::Batch).unwrap();
        assert_eq!(lines[0].body.priority, Priority::Interactive);
    }

    #[test]
    fn every_wrong_line_is_named_before_anything_is_sent() {
        let (_folder, file) = write(
            "{\"prompt\":\"a cat\"}\nrubbish\n\"a dog\"\n{\"promt\":\"a\"}\n{\"prompt\":\" \"}\n",
        );
        let error = read(&file, Priority::Batch).unwrap_err();
        assert!(error.is::<Usage>());
        let error = error.to_string();
        for part in [
            "line 2: expected value",
            "line 3: a request looks like",
            "line 4: unknown field `promt`",
            "line 5: the prompt is empty",
        ] {
            assert!(error.contains(part), "{part:?} is not in\n{error}");
        }
        let (_folder, empty) = write("\n\n");
        assert!(read(&empty, Priority::Batch).is_err());
        assert!(read(Path::new("/no/such/file"), Priority::Batch).is_err());
    }
}
