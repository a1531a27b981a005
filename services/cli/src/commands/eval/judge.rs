//! A judge or a critic as a program beside this one: questions in, answers out, a JSON document a line.

use std::{path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use atelier_proto::judging::{About, Asked, Graded, LookedFor};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use crate::{exit::Usage, servers::Parts};

/// The judge of the default model.
pub const OWN: &str = "mini";
/// Longest answer, in bytes.
const LONGEST: u64 = 4 << 20;
/// Longest time that one picture may take, the loading of a model with the first.
const PATIENCE: Duration = Duration::from_secs(600);

/// A judge or a critic that runs.
pub struct Grader {
    /// `judge` or `critic`.
    role: &'static str,
    name: String,
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    about: Option<About>,
}

impl Grader {
    /// Starts one in its role: `mini`, or the words of a command.
    pub fn start(role: &'static str, name: &str, parts: &Parts, model: &str) -> Result<Self> {
        let mut command = match name {
            OWN => own(parts, model)?,
            words => {
                let mut words = words.split_whitespace();
                let program = words
                    .next()
                    .ok_or_else(|| Usage(format!("--{role}: the command is empty")))?;
                let mut command = Command::new(program);
                command.args(words);
                command
            }
        };
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start the {role} {name:?}"))?;
        let questions = child.stdin.take().context("a pipe to it")?;
        let answers = BufReader::new(child.stdout.take().context("a pipe from it")?);
        Ok(Self {
            role,
            name: name.to_owned(),
            child,
            questions,
            answers,
            about: None,
        })
    }

    /// What it said of itself; its own name where it said nothing yet.
    pub fn about(&self) -> About {
        self.about.clone().unwrap_or_else(|| About {
            judge: self.name.clone(),
            errors: Vec::new(),
        })
    }

    /// Asks about one picture.
    pub async fn ask(
        &mut self,
        id: &str,
        picture: &std::path::Path,
        looked_for: LookedFor,
    ) -> Result<Graded> {
        let asked = Asked {
            id: id.to_owned(),
            picture: std::path::absolute(picture)?.display().to_string(),
            looked_for,
        };
        let mut line = serde_json::to_vec(&asked)?;
        line.push(b'\n');
        let answer = timeout(PATIENCE, async {
            // One that ended is found out by the answer that does not come.
            let _ = self.questions.write_all(&line).await;
            let _ = self.questions.flush().await;
            self.answer(id).await
        });
        answer
            .await
            .unwrap_or_else(|_| Err(anyhow!("no answer within {} s", PATIENCE.as_secs())))
            .with_context(|| {
                format!(
                    "the {} {:?}, asked about {}",
                    self.role, self.name, asked.picture
                )
            })
    }

    async fn answer(&mut self, id: &str) -> Result<Graded> {
        loop {
            let mut line = Vec::new();
            (&mut self.answers)
                .take(LONGEST)
                .read_until(b'\n', &mut line)
                .await?;
            if line.is_empty() {
                let ended = self.child.wait().await?;
                bail!("it ended before its answer ({ended})");
            }
            match read(&line, self.about.is_none())? {
                Said::About(about) => self.about = Some(about),
                Said::Graded(graded) if graded.id == id => return Ok(graded),
                Said::Graded(graded) => bail!("it answers about {:?}", graded.id),
            }
        }
    }
}

/// One line of a judge.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// Who it is.
    About(About),
    /// What it says of a picture.
    Graded(Graded),
}

/// Reads a line; who the judge is it says once at most, in the `first`.
pub fn read(line: &[u8], first: bool) -> Result<Said> {
    if first && let Ok(about) = serde_json::from_slice(line) {
        return Ok(Said::About(about));
    }
    let graded = serde_json::from_slice(line).with_context(|| {
        let line = String::from_utf8_lossy(line);
        format!("no answer: {}", crate::show::short(&line, 200))
    })?;
    Ok(Said::Graded(graded))
}

/// The judge of a model that this project ships, in the worker's program, which knows libtorch.
fn own(parts: &Parts, model: &str) -> Result<Command> {
    let folder: PathBuf = match model.contains('/') {
        true => model.into(),
        false => parts.model(model)?,
    };
    let mut command = Command::new(parts.program("atelier-worker")?);
    command.args(["try", "judge"]).arg(folder);
    command.args(["--device", "cpu"]);
    if let Ok(language) = parts.language() {
        command.arg("--language").arg(language);
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    use atelier_proto::judging::Truth;

    use super::*;

    async fn ask(script: &str) -> Result<(Graded, About)> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("judge.sh");
        std::fs::write(&file, script)?;
        let parts = Parts::find(None);
        let mut judge = Grader::start(
            "judge",
            &format!("sh {}", file.display()),
            &parts,
            "atelier-mini",
        )?;
        let looked_for = LookedFor::Truth(Truth::default());
        let graded = judge.ask("h1", "cat.png".as_ref(), looked_for).await?;
        Ok((graded, judge.about()))
    }

    #[tokio::test]
    async fn any_program_that_answers_lines_is_a_judge() {
        let plain = "read line; echo '{\"judge\":\"mine\",\"errors\":[]}'; echo '{\"id\":\"h1\",\"correct\":true}'";
        let (graded, about) = ask(plain).await.unwrap();
        assert!(graded.correct && about.judge == "mine");
        for (script, why) in [
            ("read line", "ended before"),
            ("read line; echo rubbish; sleep 9", "no answer: rubbish"),
            (
                "read line; echo '{\"id\":\"other\",\"correct\":true}'; sleep 9",
                "answers about",
            ),
        ] {
            let error = format!("{:#}", ask(script).await.unwrap_err());
            assert!(error.contains(why), "{error}");
        }
        let parts = Parts::find(None);
        assert!(Grader::start("judge", "/no/such/program", &parts, "x").is_err());
        assert!(Grader::start("critic", " ", &parts, "x").is_err());
    }
}
