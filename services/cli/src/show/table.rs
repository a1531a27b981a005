//! Columns of text, and times as people say them.

use std::io::{IsTerminal, stdout};

use super::{line, short, style};

/// Space between two columns.
const GAP: &str = "  ";
/// The last column gets at least so many characters, even on a narrow terminal.
const NARROWEST: usize = 12;

/// Rows under headings. The last column is cut to the width of a terminal, and whole elsewhere.
pub struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

struct Cell {
    text: String,
    /// The same in colour.
    shown: Option<String>,
}

impl Table {
    /// An empty table.
    pub fn new(headings: &[&'static str]) -> Self {
        Self {
            headings: headings.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row of plain texts.
    pub fn row(&mut self, cells: &[&str]) -> &mut Self {
        let cell = |text: &&str| Cell {
            text: line(text),
            shown: None,
        };
        self.rows.push(cells.iter().map(cell).collect());
        self
    }

    /// Shows one cell of the newest row in colour.
    pub fn colour(&mut self, column: usize, shown: String) -> &mut Self {
        let cell = self.rows.last_mut().and_then(|row| row.get_mut(column));
        if let Some(cell) = cell {
            cell.shown = Some(shown);
        }
        self
    }

    /// The table as lines, for stdout.
    pub fn text(&self) -> String {
        let width = stdout().is_terminal().then(|| {
            rustix::termios::tcgetwinsize(stdout()).map_or(80, |size| usize::from(size.ws_col))
        });
        self.within(width)
    }

    fn within(&self, width: Option<usize>) -> String {
        let last = self.headings.len().saturating_sub(1);
        let wide = |text: &str| text.chars().count();
        let columns: Vec<usize> = (0..self.headings.len())
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                let widest = cells.map(|cell| wide(&cell.text)).max().unwrap_or(0);
                widest.max(wide(self.headings[column]))
            })
            .collect();
        let before: usize = columns[..last].iter().sum::<usize>() + GAP.len() * last;
        let room = width.map(|width| width.saturating_sub(before).max(NARROWEST));
        let mut text = String::new();
        let headings: Vec<String> = self
            .headings
            .iter()
            .enumerate()
            .map(|(column, heading)| pad(heading, wide(heading), columns[column], column == last))
            .collect();
        text.push_str(&style::dim(headings.join(GAP).trim_end()));
        text.push('\n');
        for row in &self.rows {
            let cells: Vec<String> = row
                .iter()
                .enumerate()
                .map(|(column, cell)| {
                    let cut = room
                        .filter(|_| column == last)
                        .map(|room| short(&cell.text, room));
                    let shown = cell.shown.as_ref().or(cut.as_ref()).unwrap_or(&cell.text);
                    pad(shown, wide(&cell.text), columns[column], column == last)
                })
                .collect();
            text.push_str(cells.join(GAP).trim_end());
            text.push('\n');
        }
        text
    }
}

/// `shown` is `width` characters wide on the screen and gets as wide as its column; the last one need not.
fn pad(shown: &str, width: usize, column: usize, last: bool) -> String {
    let missing = if last {
        0
    } else {
        column.saturating_sub(width)
    };
    format!("{shown}{}", " ".repeat(missing))
}

/// How long ago a time (RFC 3339) was, as in `3 min`. A time that cannot be read is given back as it is.
pub fn ago(time: &str, now: jiff::Timestamp) -> String {
    let Ok(then) = time.parse::<jiff::Timestamp>() else {
        return line(time);
    };
    let seconds = now.as_second().saturating_sub(then.as_second()).max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_the_last_is_cut_to_the_terminal() {
        let mut table = Table::new(&["ID", "STATE", "PROMPT"]);
        table.row(&["1", "ok", "a cat in a hat on a mat"]);
        table.colour(1, "<ok>".into());
        table.row(&["22", "failed", "a\ndog"]);
        let plain =
            "ID  STATE   PROMPT\n1   <ok>      a cat in a hat on a mat\n22  failed  a dog\n";
        let strip = |text: String| anstream::adapter::strip_str(&text).to_string();
        assert_eq!(strip(table.within(None)), plain);
        let narrow = strip(table.within(Some(26)));
        assert!(
            narrow.contains("a cat in a h…") || narrow.contains("a cat in a ha…"),
            "{narrow}"
        );
        assert!(strip(table.within(Some(3))).contains("a cat in a …"));
    }

    #[test]
    fn times() {
        let now = "2026-01-02T00:00:00Z".parse().unwrap();
        for (time, said) in [
            ("2026-01-01T23:59:01Z", "59 s"),
            ("2026-01-01T23:00:00Z", "60 min"),
            ("2026-01-01T00:00:00Z", "24 h"),
            ("2025-12-01T00:00:00Z", "32 d"),
            ("2026-01-02T00:00:01Z", "0 s"),
            ("soon", "soon"),
        ] {
            assert_eq!(ago(time, now), said);
        }
    }
}
