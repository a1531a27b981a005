//! One run over a suite: which arm draws when, which of several drawings is delivered, and what the judge says of all.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};
use atelier_proto::{
    job::Think,
    judging::{Case, LookedFor},
    plan::Plan,
};

use super::{
    Args,
    arms::{self, Arm, Common},
    draw::{Drawn, Studio, Task},
    judge::Grader,
    planned::Planned,
    sheet,
    summary::{Column, Cost, Grade, Summary},
};
use crate::{servers::Parts, show::Board};

/// One run over a suite.
pub struct Run {
    /// Where it draws.
    pub studio: Studio,
    /// Where it tells how far it is.
    pub board: Board,
    /// Where programs are.
    pub parts: Parts,
    /// The prompts with their truth.
    pub cases: Vec<Case>,
    /// What was asked for.
    pub args: Args,
}

/// Cases by their index: those of which the judge told a picture, and those that it cannot tell, with the reason.
#[derive(Default)]
struct Answers {
    told: BTreeSet<usize>,
    untold: BTreeMap<usize, String>,
}

impl Answers {
    fn take(&mut self, index: usize, grade: Result<Grade, String>) -> Option<Grade> {
        match grade {
            Ok(grade) => {
                self.told.insert(index);
                Some(grade)
            }
            Err(why) => {
                self.untold.entry(index).or_insert(why);
                None
            }
        }
    }

    /// The cases to leave out. Of a prompt that it does not understand a judge can tell no picture; where it tells one and not another, leaving
    /// the prompt out would favour an arm.
    fn untold(self, cases: &[Case]) -> Result<BTreeMap<usize, String>> {
        let mut untold = self.untold.iter();
        if let Some((index, why)) = untold.find(|(index, _)| self.told.contains(index)) {
            let id = &cases[*index].id;
            bail!("{id}: the judge can tell one picture and not another: {why}");
        }
        Ok(self.untold)
    }
}

/// What an arm drew of every case.
struct Made {
    arm: Arm,
    drawn: Vec<Drawn>,
    /// Every drawing of a case, in their order; what is delivered is one of them.
    names: Vec<Vec<String>>,
    seconds: Vec<f64>,
    chosen: Vec<usize>,
}

impl Run {
    /// Draws with every arm, grades, and adds up.
    pub async fn all(&self, arms: &[Arm]) -> Result<Summary> {
        // Started before anything is drawn: a judge that does not start costs no drawing.
        let mut judge = Grader::start("judge", &self.args.judge, &self.parts, &self.args.model)?;
        let mut made: Vec<Made> = Vec::new();
        for arm in [Arm::Fast, Arm::Full, Arm::Off, Arm::BestOfN] {
            if !arms.contains(&arm) {
                continue;
            }
            let drawn = match arm {
                Arm::Fast => self.think(arm, Think::Fast).await?,
                Arm::Full => self.think(arm, Think::Full).await?,
                Arm::Off => self.plain(of(&made, Arm::Fast)).await?,
                Arm::BestOfN => self.best(of(&made, Arm::Fast), of(&made, Arm::Off)).await?,
            };
            made.push(drawn);
        }
        made.sort_by_key(|made| made.arm);
        let mut answers = Answers::default();
        let mut columns = Vec::new();
        for made in &made {
            columns.push(self.graded(made, &mut judge, &mut answers).await?);
        }
        self.sheet(&made)?;
        let untold = answers.untold(&self.cases)?;
        if let Some(why) = untold
            .values()
            .next()
            .filter(|_| untold.len() == self.cases.len())
        {
            bail!("the judge cannot tell any of the prompts; of the first it says: {why}");
        }
        let is_told = |index: usize| !untold.contains_key(&index);
        for column in &mut columns {
            column.keep(&is_told);
        }
        let told = (0..self.cases.len()).filter(|index| is_told(*index));
        let cases: Vec<Case> = told.map(|index| self.cases[index].clone()).collect();
        let mut summary = Summary::of(&cases, &columns, judge.about(), self.args.seed);
        for made in made.iter().filter(|made| made.arm.thinks()) {
            let plans = summary.plans.entry(made.arm.as_str().to_owned());
            let plans = plans.or_default();
            for (index, case) in self.cases.iter().enumerate() {
                if is_told(index) {
                    *plans += Planned::of(&case.truth, made.drawn[index].plan.as_ref());
                }
            }
        }
        let untold = untold.into_iter();
        summary.untold = untold
            .map(|(index, why)| (self.cases[index].id.clone(), why))
            .collect();
        Ok(summary)
    }

    fn common(&self, case: &Case, drawing: usize) -> Common {
        Common {
            seed: u64::from(digest(&case.id)) + self.args.seed + drawing as u64,
            steps: self.args.steps,
            max_rounds: self.args.max_rounds,
        }
    }

    async fn think(&self, arm: Arm, think: Think) -> Result<Made> {
        let task = |case: &Case| Task {
            name: format!("{}/{}", arm.as_str(), case.id),
            body: arms::thinking(&case.prompt, think, self.common(case, 0)),
        };
        self.one_each(arm, self.cases.iter().map(task).collect())
            .await
    }

    async fn plain(&self, fast: &Made) -> Result<Made> {
        let task = |(case, planned): (&Case, &Drawn)| self.unplanned(case, planned, 0);
        let tasks = self.cases.iter().zip(&fast.drawn).map(task).collect();
        self.one_each(Arm::Off, tasks).await
    }

    fn unplanned(&self, case: &Case, planned: &Drawn, drawing: usize) -> Task {
        let arm = if drawing == 0 { Arm::Off } else { Arm::BestOfN };
        let which = if drawing == 0 {
            String::new()
        } else {
            format!("-{}", drawing + 1)
        };
        Task {
            name: format!("{}/{}{which}", arm.as_str(), case.id),
            body: arms::unplanned(
                &case.prompt,
                planned.plan.as_ref(),
                self.common(case, drawing),
            ),
        }
    }

    async fn one_each(&self, arm: Arm, tasks: Vec<Task>) -> Result<Made> {
        let names = tasks.iter().map(|task| vec![task.name.clone()]).collect();
        let drawn = self.studio.all(arm.as_str(), tasks, &self.board).await?;
        Ok(Made {
            arm,
            names,
            seconds: drawn.iter().map(|drawn| drawn.seconds).collect(),
            chosen: vec![0; drawn.len()],
            drawn,
        })
    }

    /// As many drawings without thought as take the time of `fast`; the first is that of `off`. The critic that checks for `fast` chooses.
    async fn best(&self, fast: &Made, off: &Made) -> Result<Made> {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let looks: Vec<f64> = fast
            .drawn
            .iter()
            .filter_map(|drawn| drawn.look_seconds)
            .collect();
        let drawing = mean(&off.seconds) + mean(&looks);
        let numbers = arms::drawings(&fast.seconds, drawing);
        let mut tasks = Vec::new();
        for ((case, planned), number) in self.cases.iter().zip(&fast.drawn).zip(&numbers) {
            tasks.extend((1..*number).map(|drawing| self.unplanned(case, planned, drawing)));
        }
        let sent: Vec<String> = tasks.iter().map(|task| task.name.clone()).collect();
        let more = self
            .studio
            .all(Arm::BestOfN.as_str(), tasks, &self.board)
            .await?;
        let mut more = sent.into_iter().zip(more);
        let mut critic = Grader::start("critic", &self.args.critic, &self.parts, &self.args.model)?;
        let bar = self.board.total(self.cases.len() as u64);
        bar.set_message("choosing");
        let mut made = Made {
            arm: Arm::BestOfN,
            drawn: Vec::new(),
            names: Vec::new(),
            seconds: Vec::new(),
            chosen: Vec::new(),
        };
        for (index, number) in numbers.iter().enumerate() {
            let mut names = off.names[index].clone();
            let mut drawn = vec![off.drawn[index].clone()];
            for (name, one) in more.by_ref().take(number - 1) {
                names.push(name);
                drawn.push(one);
            }
            let plan = fast.drawn[index].plan.as_ref();
            let best = self.choose(&names, &drawn, plan, &mut critic).await?;
            let seconds: f64 = drawn.iter().map(|one| one.seconds).sum();
            made.seconds.push(seconds + mean(&looks) * *number as f64);
            made.drawn.push(drawn.swap_remove(best));
            made.names.push(names);
            made.chosen.push(best);
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(made)
    }

    /// The drawing of which most of the plan's checks pass; the first of equals.
    async fn choose(
        &self,
        names: &[String],
        drawn: &[Drawn],
        plan: Option<&Plan>,
        critic: &mut Grader,
    ) -> Result<usize> {
        let mut best = (0, None);
        let Some(plan) = plan.filter(|plan| names.len() > 1 && !plan.checks.is_empty()) else {
            return Ok(0);
        };
        for (index, name) in names.iter().enumerate() {
            if !drawn[index].has_picture {
                continue;
            }
            let looked_for = LookedFor::Plan(Box::new(plan.clone()));
            let said = critic
                .ask(name, &self.studio.picture(name), looked_for)
                .await?;
            let passed = said.checks.iter().filter(|check| check.ok).count();
            if best.1.is_none_or(|most| passed > most) {
                best = (index, Some(passed));
            }
        }
        Ok(best.0)
    }

    /// Grades what an arm delivered, and what it drew first where it checks.
    async fn graded(
        &self,
        made: &Made,
        judge: &mut Grader,
        answers: &mut Answers,
    ) -> Result<Column> {
        let bar = self.board.total(self.cases.len() as u64);
        bar.set_message(format!("judging {}", made.arm.as_str()));
        let (mut delivered, mut first) = (Vec::new(), Vec::new());
        for (index, (case, drawn)) in self.cases.iter().zip(&made.drawn).enumerate() {
            let name = &made.names[index][made.chosen[index]];
            let none = Grade::none(case.truth.checks());
            let mut told = |grade| answers.take(index, grade).unwrap_or(none);
            let last = match drawn.has_picture {
                true => told(grade(case, name, &self.studio.picture(name), judge).await?),
                false => none,
            };
            first.push(match drawn.has_first {
                true => told(grade(case, name, &self.studio.first_picture(name), judge).await?),
                false => last,
            });
            delivered.push(last);
            bar.inc(1);
        }
        bar.finish_and_clear();
        let mean = |sum: f64| sum / made.drawn.len().max(1) as f64;
        let cost = Cost {
            device_s: mean(made.seconds.iter().sum()),
            drawings: mean(match made.arm {
                Arm::BestOfN => made.names.iter().map(Vec::len).sum::<usize>() as f64,
                _ => made.drawn.iter().map(|drawn| f64::from(drawn.rounds)).sum(),
            }),
            rounds: mean(made.drawn.iter().map(|drawn| f64::from(drawn.rounds)).sum()),
            failed: made.drawn.iter().filter(|drawn| !drawn.has_picture).count() as u32,
        };
        Ok(Column {
            arm: made.arm,
            delivered,
            first: made.arm.thinks().then_some(first),
            cost,
        })
    }

    fn sheet(&self, made: &[Made]) -> Result<()> {
        let picture =
            |made: &Made, index: usize| self.studio.picture(&made.names[index][made.chosen[index]]);
        let row = |index: usize| -> Vec<PathBuf> {
            made.iter().map(|made| picture(made, index)).collect()
        };
        let rows: Vec<Vec<PathBuf>> = (0..self.cases.len()).map(row).collect();
        sheet::write(&self.studio.folder.join("sheet.png"), &rows)
    }
}

/// The grade of a picture, or why the judge cannot tell.
async fn grade(
    case: &Case,
    name: &str,
    picture: &Path,
    judge: &mut Grader,
) -> Result<Result<Grade, String>> {
    let graded = judge
        .ask(name, picture, LookedFor::Truth(case.truth.clone()))
        .await?;
    Ok(match graded.error {
        Some(why) => Err(why),
        None => Ok(Grade::of(&graded)),
    })
}

/// What an arm made that was drawn before; [`arms::complete`] put it into the list.
fn of(made: &[Made], arm: Arm) -> &Made {
    made.iter()
        .find(|made| made.arm == arm)
        .expect("arms that others need are drawn first")
}

/// A number of its own for every id (FNV-1a).
fn digest(id: &str) -> u32 {
    id.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}
