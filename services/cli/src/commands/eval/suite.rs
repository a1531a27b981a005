//! Suites: one prompt a line with what a right picture shows, in GenEval's form or in ours. A wrong line is told before anything is drawn.

use std::{collections::HashSet, fs, path::Path};

use anyhow::{Result, anyhow};
use atelier_proto::judging::{Case, Side, Stands, TooMany, Truth, Wanted};
use serde::Deserialize;
use serde_json::Value;

use crate::{commands::options::check_prompt, exit::Usage, show};

/// Largest suite, in bytes.
const MAX_BYTES: u64 = 16 << 20;
/// Most cases.
const MAX_CASES: usize = 10_000;
/// Most wrong lines that are told at once.
const TOLD: usize = 5;

/// A line of GenEval's `evaluation_metadata.jsonl`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GenEval {
    tag: String,
    prompt: String,
    include: Vec<Include>,
    #[serde(default)]
    exclude: Vec<Exclude>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    k: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Include {
    class: String,
    count: u32,
    #[serde(default)]
    color: Option<String>,
    /// A side and the index of an earlier entry.
    #[serde(default)]
    position: Option<(Side, u32)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exclude {
    class: String,
    count: u32,
}

impl GenEval {
    fn case(self, number: usize) -> Result<Case> {
        let position = |(index, one): (usize, &Include)| {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            let (side, other) = one.position?;
            Some(Stands(index, side, other))
        };
        let relations: Vec<Stands> = self
            .include
            .iter()
            .enumerate()
            .filter_map(position)
            .collect();
        if let Some(late) = relations
            .iter()
            .find(|Stands(subject, _, object)| object >= subject)
        {
            return Err(anyhow!(
                "the position of entry {} names entry {}, which is no earlier one",
                late.0,
                late.2
            ));
        }
        let thing = |one: Include| Wanted {
            noun: one.class,
            count: one.count,
            color: one.color,
            place: None,
        };
        let many = |one: Exclude| TooMany {
            noun: one.class,
            count: one.count,
        };
        let truth = Truth {
            things: self.include.into_iter().map(thing).collect(),
            relations,
            exclude: self.exclude.into_iter().map(many).collect(),
            ..Truth::default()
        };
        Ok(Case {
            id: self.id.unwrap_or_else(|| format!("{number:05}")),
            category: self.tag,
            k: self.k.unwrap_or_else(|| truth.atoms()),
            prompt: self.prompt,
            truth,
        })
    }
}

/// Reads a whole suite, at most `limit` cases of it, spread evenly: the first of many may all be of one kind.
pub fn read(file: &Path, limit: Option<usize>) -> Result<Vec<Case>> {
    let cannot = |error: std::io::Error| Usage(format!("cannot read {}: {error}", file.display()));
    let size = fs::metadata(file).map_err(cannot)?.len();
    if size > MAX_BYTES {
        let message = format!(
            "{} has {size} bytes, at most {MAX_BYTES} are read",
            file.display()
        );
        return Err(Usage(message).into());
    }
    let cases = parse(&fs::read_to_string(file).map_err(cannot)?)
        .map_err(|error| Usage(format!("{}: {error}", file.display())))?;
    Ok(spread(cases, limit))
}

fn spread(cases: Vec<Case>, limit: Option<usize>) -> Vec<Case> {
    let (all, most) = (cases.len(), limit.unwrap_or(usize::MAX).min(cases.len()));
    let chosen: HashSet<usize> = (0..most).map(|index| index * all / most).collect();
    let mut index = 0;
    cases
        .into_iter()
        .filter(|_| {
            index += 1;
            chosen.contains(&(index - 1))
        })
        .collect()
}

/// Reads the lines; the error names those that are wrong.
pub fn parse(text: &str) -> Result<Vec<Case>, String> {
    let (mut cases, mut wrong, mut ids) = (Vec::new(), Vec::new(), HashSet::new());
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let case = case(line, index).and_then(|case| match ids.insert(case.id.clone()) {
            true => Ok(case),
            false => Err(anyhow!("id {:?} was there before", case.id)),
        });
        match case {
            Ok(case) => cases.push(case),
            Err(error) => wrong.push(format!("  line {}: {error:#}", index + 1)),
        }
    }
    if !wrong.is_empty() {
        let more = wrong.len().saturating_sub(TOLD);
        wrong.truncate(TOLD);
        let more = match more {
            0 => String::new(),
            more => format!("\n  and {more} more"),
        };
        return Err(format!(
            "lines that are no cases; nothing was drawn\n{}{more}",
            show::multiline(&wrong.join("\n"))
        ));
    }
    match cases.len() {
        0 => Err("there are no cases".into()),
        number if number > MAX_CASES => {
            Err(format!("{number} cases, at most {MAX_CASES} are drawn"))
        }
        _ => Ok(cases),
    }
}

fn case(line: &str, index: usize) -> Result<Case> {
    let value: Value = serde_json::from_str(line)?;
    let geneval = value.get("include").is_some();
    let case: Case = match geneval {
        true => serde_json::from_value::<GenEval>(value)?.case(index)?,
        false => serde_json::from_value(value)?,
    };
    check_prompt(&case.prompt)?;
    case.truth.check().map_err(anyhow::Error::msg)?;
    let plain = |text: &str| {
        !text.is_empty()
            && text.len() <= 64
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    if !plain(&case.id) || !plain(&case.category) {
        return Err(anyhow!(
            "id and category are of letters, digits, '-', '_' and '.', 64 at most"
        ));
    }
    let atoms = case.truth.atoms();
    if case.k != atoms && !geneval {
        return Err(anyhow!("k is {}, but {atoms} atoms are declared", case.k));
    }
    Ok(case)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_geneval_are_read_as_they_are() {
        let text = concat!(
            r#"{"tag": "counting", "include": [{"class": "clock", "count": 2}], "exclude": [{"class": "clock", "count": 3}], "prompt": "a photo of two clocks"}"#,
            "\n\n",
            r#"{"tag": "position", "include": [{"class": "tie", "count": 1}, {"class": "dog", "count": 1, "color": "red", "position": ["right of", 0]}], "prompt": "a photo of a dog right of a tie"}"#,
        );
        let cases = parse(text).unwrap();
        assert_eq!(
            (cases[0].category.as_str(), cases[0].k, cases[0].id.as_str()),
            ("counting", 2, "00000")
        );
        assert_eq!(cases[0].truth.exclude[0].count, 3);
        assert_eq!((cases[1].id.as_str(), cases[1].k), ("00002", 4));
        assert_eq!(cases[1].truth.relations, [Stands(1, Side::RightOf, 0)]);
        assert_eq!(cases[1].truth.things[1].color.as_deref(), Some("red"));
    }

    #[test]
    fn every_wrong_line_is_named() {
        let good = r#"{"id":"a","category":"single_object","k":1,"prompt":"a cat","things":[{"noun":"cat"}]}"#;
        assert_eq!(parse(good).unwrap().len(), 1);
        let lines = [
            good,
            "rubbish",
            r#"{"id":"b","category":"x","k":1,"prompt":"a cat","things":[{"noun":"cat","colour":"red"}]}"#,
            r#"{"id":"a","category":"x","k":1,"prompt":"a cat","things":[{"noun":"cat"}]}"#,
            r#"{"id":"c","category":"x","k":3,"prompt":"a cat","things":[{"noun":"cat"}]}"#,
            r#"{"id":"d/e","category":"x","k":1,"prompt":"a cat","things":[{"noun":"cat"}]}"#,
        ];
        let error = parse(&lines.join("\n")).unwrap_err();
        for part in [
            "line 2: expected value",
            "line 3: unknown field `colour`",
            "line 4: id \"a\" was",
            "line 5: k is 3, but 1",
            "line 6: id and",
        ] {
            assert!(error.contains(part), "{part:?} is not in\n{error}");
        }
        let late = r#"{"tag":"position","include":[{"class":"a","count":1,"position":["above",1]},{"class":"b","count":1}],"prompt":"x"}"#;
        assert!(parse(late).unwrap_err().contains("no earlier one"));
        let more = r#"{"tag":"x","include":[{"class":"a","count":1}],"prompt":"x","extra":1}"#;
        assert!(parse(more).unwrap_err().contains("extra"));
        assert!(parse("\n").is_err());
    }

    #[test]
    fn a_limit_takes_some_of_every_part() {
        let line = |index: usize| {
            format!(
                r#"{{"id":"{index}","category":"x","k":1,"prompt":"a cat","things":[{{"noun":"cat"}}]}}"#
            )
        };
        let all: Vec<Case> = (0..10)
            .map(|index| parse(&line(index)).unwrap().remove(0))
            .collect();
        let ids = |limit| -> Vec<String> {
            spread(all.clone(), limit)
                .into_iter()
                .map(|case| case.id)
                .collect()
        };
        assert_eq!(ids(Some(3)), ["0", "3", "6"]);
        assert_eq!(ids(Some(99)).len(), 10);
        assert_eq!(ids(None).len(), 10);
    }
}
