//! The run as tables.

use std::fmt::Write;

use super::summary::{Cell, Summary};
use crate::show::{self, Table};

/// Everything that people want to know of a run.
pub fn text(summary: &Summary) -> String {
    let mut text = String::new();
    let arms: Vec<&str> = ORDER
        .into_iter()
        .filter(|arm| summary.arms.contains_key(*arm))
        .collect();
    let rows = |of: &dyn Fn(&str) -> Vec<(String, Cell)>| -> Vec<(String, Vec<Cell>)> {
        let first = arms.first().map(|arm| of(arm)).unwrap_or_default();
        first
            .iter()
            .enumerate()
            .map(|(row, (name, _))| {
                (
                    name.clone(),
                    arms.iter().map(|arm| of(arm)[row].1).collect(),
                )
            })
            .collect()
    };
    let categories = rows(&|arm| {
        summary.arms[arm]
            .iter()
            .map(|(name, cell)| (name.clone(), *cell))
            .collect()
    });
    let atoms = rows(&|arm| {
        summary.atoms[arm]
            .iter()
            .map(|(k, cell)| (format!("{k} atoms"), *cell))
            .collect()
    });
    text += &table("all correct", &arms, &categories, |cell| cell.all_correct);
    text += &table("all correct by atoms", &arms, &atoms, |cell| {
        cell.all_correct
    });
    text += &table("checks right", &arms, &categories, |cell| cell.share);
    text += &plans(summary);
    text += &costs(summary);
    text += &duels(summary);
    text += &judge(summary);
    text
}

/// Most prompts that are named of those that the judge cannot tell.
const UNTOLD: usize = 5;

/// Arms in the order of the tables' columns.
const ORDER: [&str; 6] = [
    "off",
    "best_of_n",
    "fast_first",
    "fast",
    "full_first",
    "full",
];

fn percent(share: f64) -> String {
    format!("{:.1}", 100.0 * share)
}

/// One line a row with its number of prompts, one column an arm; in percent.
fn table(
    title: &'static str,
    arms: &[&str],
    rows: &[(String, Vec<Cell>)],
    of: impl Fn(&Cell) -> f64,
) -> String {
    let headings: Vec<&'static str> = ORDER.into_iter().filter(|arm| arms.contains(arm)).collect();
    let mut table = Table::new(&[&[title, "n"][..], &headings].concat());
    for (name, cells) in rows {
        let n = cells.first().map_or(0, |cell| cell.n).to_string();
        let shares: Vec<String> = cells.iter().map(|cell| percent(of(cell))).collect();
        let mut row = vec![name.as_str(), n.as_str()];
        row.extend(shares.iter().map(String::as_str));
        table.row(&row);
    }
    table.text() + "\n"
}

fn costs(summary: &Summary) -> String {
    let mut table = Table::new(&[
        "a prompt",
        "device s",
        "drawings",
        "rounds",
        "without picture",
        "mended",
        "broken",
    ]);
    for arm in ORDER {
        let Some(cost) = summary.cost.get(arm) else {
            continue;
        };
        let critique = summary.critique_by_arm.get(arm);
        let number =
            |of: Option<u32>| of.map_or_else(|| "-".to_owned(), |number| number.to_string());
        table.row(&[
            arm,
            &format!("{:.2}", cost.device_s),
            &format!("{:.2}", cost.drawings),
            &format!("{:.2}", cost.rounds),
            &cost.failed.to_string(),
            &number(critique.map(|critique| critique.mended)),
            &number(critique.map(|critique| critique.broken)),
        ]);
    }
    table.text() + "\n"
}

/// What was planned right, so that it shows what was drawn wrong.
fn plans(summary: &Summary) -> String {
    let mut table = Table::new(&[
        "plans have",
        "things",
        "counts",
        "colours",
        "changes of light",
        "everything",
    ]);
    for (arm, planned) in &summary.plans {
        let cells = [
            planned.things,
            planned.counts,
            planned.colors,
            planned.changes,
            planned.all,
        ];
        let cells = cells.map(|share| format!("{} of {}", share.right, share.asked));
        let mut row = vec![arm.as_str()];
        row.extend(cells.iter().map(String::as_str));
        table.row(&row);
    }
    if summary.plans.is_empty() {
        return String::new();
    }
    table.text() + "\n"
}

fn duels(summary: &Summary) -> String {
    let mut table = Table::new(&[
        "against each other",
        "elo",
        "95 %",
        "wins",
        "losses",
        "ties",
    ]);
    for (name, versus) in &summary.elo {
        table.row(&[
            &name.replace("_vs_", " vs "),
            &format!("{:+.0}", versus.elo.value),
            &format!("{:+.0} to {:+.0}", versus.elo.low, versus.elo.high),
            &versus.wins.to_string(),
            &versus.losses.to_string(),
            &versus.ties.to_string(),
        ]);
    }
    if summary.elo.is_empty() {
        String::new()
    } else {
        format!("{}{}\n\n", table.text(), summary.tie_rule)
    }
}

/// The judge's own errors beside what it says.
fn judge(summary: &Summary) -> String {
    let mut text = format!("judge: {}\n", show::line(&summary.judge.judge));
    for error in &summary.judge.errors {
        let (wrong, what) = match error.right {
            true => (error.number - error.accepted.min(error.number), "rejected"),
            false => (error.accepted, "accepted"),
        };
        let share = 100.0 * f64::from(wrong) / f64::from(error.number.max(1));
        // Writing into a string cannot fail.
        let _ = writeln!(
            text,
            "  wrongly {what} {wrong} of {} pictures with {}: {share:.1} %",
            error.number,
            show::line(&error.pictures)
        );
    }
    if !summary.untold.is_empty() {
        let number = summary.untold.len();
        let _ = writeln!(text, "it cannot tell {number} prompts, which are left out:");
    }
    for (id, why) in summary.untold.iter().take(UNTOLD) {
        let _ = writeln!(text, "  {}: {}", show::line(id), show::line(why));
    }
    text
}

#[cfg(test)]
mod tests {
    use atelier_proto::judging::{About, KnownError};

    use super::*;

    #[test]
    fn what_a_judge_calls_itself_does_not_steer_the_terminal() {
        let about = About {
            judge: "mine\u{1b}[2J".into(),
            errors: vec![KnownError {
                pictures: "\u{9b}2J all right".into(),
                right: true,
                number: 0,
                accepted: 1,
            }],
        };
        let text = judge(&Summary::of(&[], &[], about, 1));
        assert!(
            text.contains("mine") && text.contains("all right"),
            "{text}"
        );
        assert!(!text.contains(['\u{1b}', '\u{9b}']), "{text:?}");
    }
}
