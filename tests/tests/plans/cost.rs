//! What statements cost, from the log of PostgreSQL.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::PathBuf,
};

use anyhow::{Context, Result};
use atelier_tests::Sandbox;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// Tables that finished work is in.
const TABLES: [&str; 2] = ["requests", "jobs"];
/// Pages that a statement may touch more of when much is finished, beside half as many again and two for each row that it looks at: an index is
/// one or two levels deeper, most statements look into several, and a list is only full when there is something to list.
const DEEPER: u64 = 40;
/// Rows that one step of a plan may look at. What is active in this test is less, what is finished is more.
const ROWS: u64 = 300;

/// From now on every statement of new sessions on the database is logged with its plan, as it was carried out. Not those of `database` itself.
pub async fn log_plans(database: &mut PgConnection, name: &str) -> Result<()> {
    for (setting, value) in [
        ("session_preload_libraries", "auto_explain"),
        ("auto_explain.log_min_duration", "0"),
        ("auto_explain.log_analyze", "on"),
        ("auto_explain.log_buffers", "on"),
        ("auto_explain.log_timing", "off"),
        ("auto_explain.log_format", "json"),
        ("auto_explain.log_parameter_max_length", "0"),
    ] {
        // `set_config` reaches one session only, and a statement about a database takes no parameters.
        let set = format!("ALTER DATABASE {name} SET {setting} = '{value}'");
        database.execute(AssertSqlSafe(set)).await?;
    }
    Ok(())
}

/// Reads finished work in ways that no coordinator should.
pub async fn read_finished_work(sandbox: &Sandbox) -> Result<()> {
    let mut bad = PgConnection::connect(&sandbox.database_url).await?;
    bad.execute("SELECT count(*) FROM jobs WHERE state = 'done'")
        .await?;
    // Through an index, but through all of it.
    bad.execute("SET enable_seqscan = off; SELECT count(*) FROM requests WHERE id > '00000000-0000-7000-8000-000000000000' AND round = 2")
        .await?;
    bad.close().await?;
    Ok(())
}

/// The server's log from some moment on.
pub struct Log {
    path: PathBuf,
    from: u64,
}

impl Log {
    pub fn from_now(sandbox: &Sandbox) -> Result<Self> {
        let path = sandbox.postgres_log();
        let from = File::open(&path)?.metadata()?.len();
        Ok(Self { path, from })
    }

    /// What was logged since.
    pub fn costs(&self) -> Result<Costs> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.from))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let mut costs = Costs::default();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            if !(line.contains("LOG:  duration:") && line.ends_with("plan:")) {
                continue;
            }
            // What goes on is indented.
            let mut document = String::new();
            while let Some(line) = lines.next_if(|line| line.starts_with('\t')) {
                document.push_str(line);
                document.push('\n');
            }
            let document: Value =
                serde_json::from_str(&document).with_context(|| document.clone())?;
            costs.add(&document)?;
        }
        Ok(costs)
    }
}

/// Every statement, by its text, with what each of its executions cost.
#[derive(Debug, Default)]
pub struct Costs(BTreeMap<String, Vec<Cost>>);

/// One execution.
#[derive(Debug)]
struct Cost {
    /// Pages of tables and indexes that it touched.
    pages: u64,
    /// Tables that it read from one end to the other.
    scanned: BTreeSet<String>,
    /// The most rows that one step looked at in a table of [`TABLES`].
    rows: u64,
    /// The steps, a line each.
    outline: String,
}

impl Costs {
    fn add(&mut self, document: &Value) -> Result<()> {
        let text = document["Query Text"].as_str().context("no text")?;
        let plan = &document["Plan"];
        let mut cost = Cost {
            pages: number(plan, "Shared Hit Blocks") + number(plan, "Shared Read Blocks"),
            scanned: BTreeSet::new(),
            rows: 0,
            outline: String::new(),
        };
        cost.walk(plan, 1);
        let words: Vec<&str> = text.split_whitespace().collect();
        self.0.entry(words.join(" ")).or_default().push(cost);
        Ok(())
    }
}

impl Cost {
    fn walk(&mut self, node: &Value, depth: usize) {
        let word = |what: &str| node[what].as_str().unwrap_or("");
        let table = word("Relation Name");
        let _ = writeln!(
            self.outline,
            "{:indent$}{} {table} {}: {} rows, {} removed, {} times, {} pages",
            "",
            word("Node Type"),
            word("Index Name"),
            number(node, "Actual Rows"),
            number(node, "Rows Removed by Filter"),
            number(node, "Actual Loops"),
            number(node, "Shared Hit Blocks") + number(node, "Shared Read Blocks"),
            indent = 2 * depth
        );
        if TABLES.contains(&table) {
            if word("Node Type") == "Seq Scan" {
                self.scanned.insert(table.to_owned());
            }
            let seen = [
                "Actual Rows",
                "Rows Removed by Filter",
                "Rows Removed by Index Recheck",
                "Heap Fetches",
            ];
            let seen: u64 = seen.iter().map(|what| number(node, what)).sum();
            self.rows = self.rows.max(seen * number(node, "Actual Loops"));
        }
        for child in node["Plans"].as_array().into_iter().flatten() {
            self.walk(child, depth + 1);
        }
    }
}

/// A count of a plan; PostgreSQL gives means over loops as fractions.
fn number(node: &Value, what: &str) -> u64 {
    node[what].as_f64().map_or(0, |count| count.ceil() as u64)
}

/// What became of the costs.
pub struct Verdict {
    /// Statements that were seen both times.
    pub compared: usize,
    /// What should not be, a line each.
    pub wrong: Vec<String>,
    rows: Vec<(u64, u64, usize, String)>,
}

impl Verdict {
    /// Compares the costs with much finished work to those without.
    pub fn of(without: &Costs, with: &Costs) -> Self {
        let (mut wrong, mut rows) = (Vec::new(), Vec::new());
        for (text, costs) in &with.0 {
            let short: String = text.chars().take(160).collect();
            let dearest = costs.iter().max_by_key(|cost| cost.pages);
            let outline = dearest.map_or("", |cost| cost.outline.as_str());
            let scanned: BTreeSet<&str> = costs
                .iter()
                .flat_map(|cost| cost.scanned.iter().map(String::as_str))
                .collect();
            if !scanned.is_empty() {
                wrong.push(format!("reads all of {scanned:?}: {short}\n{outline}"));
            }
            let most = costs.iter().map(|cost| cost.rows).max().unwrap_or(0);
            if most > ROWS {
                wrong.push(format!("looks at {most} rows: {short}\n{outline}"));
            }
            let Some(before) = without.0.get(text) else {
                continue;
            };
            let (before, now) = (median(before), median(costs));
            if now > before + before / 2 + DEEPER + 2 * most.min(ROWS) {
                wrong.push(format!(
                    "{now} pages instead of {before}: {short}\n{outline}"
                ));
            }
            rows.push((before, now, costs.len(), short));
        }
        rows.sort_by_key(|(_, now, ..)| std::cmp::Reverse(*now));
        Self {
            compared: rows.len(),
            wrong,
            rows,
        }
    }

    /// Pages without and with finished work, and what for.
    pub fn table(&self) -> String {
        let mut text = "  pages before    now  times  statement\n".to_owned();
        for (before, now, times, statement) in &self.rows {
            let short: String = statement.chars().take(90).collect();
            let _ = writeln!(text, "  {before:12} {now:6} {times:6}  {short}");
        }
        text
    }
}

/// Of the pages that its executions touched; the lower of two. The first execution of a session reads the catalog, too, which is as long however much
/// is finished; what grows with finished work does so every time.
fn median(costs: &[Cost]) -> u64 {
    let mut pages: Vec<u64> = costs.iter().map(|cost| cost.pages).collect();
    pages.sort_unstable();
    pages
        .get(pages.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or(0)
}
