//! What follows a look at a picture in which checks failed: a pure choice between repairing, drawing again, planning again and stopping.
//!
//! The order is by cost and by what is known to help: a repair keeps what is right and mends about half of what is wrong; another seed is for
//! pictures in which most is wrong or that a repair did not mend; another plan for what no picture can pass, and for what failed again after both.
//! Critics break good work, too. So only checks that failed count, not those that nobody could decide; everything starts from the best picture
//! so far; and a picture takes its place only by passing strictly more.

use atelier_proto::review::{Action, Decision, Findings, Fix, FixKind, Score};

/// Most fixes of one round of repairs: each one reads the picture that the one before it made, and what is chained drifts.
pub const MOST_FIXES: usize = 4;

/// Everything that a decision rests on.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// The round that was looked at.
    pub round: u32,
    /// Most rounds.
    pub max_rounds: u32,
    /// Why no further round may begin although there is one left, for example that its time is up.
    pub spent: Option<&'a str>,
    /// How the best picture did.
    pub score: Score,
    /// What is wrong with it.
    pub findings: &'a Findings,
    /// Failed checks of the picture of this round, when it did not become the best.
    pub worse: Option<&'a [String]>,
    /// Decisions since the best picture was drawn: what was tried on it already.
    pub tried: &'a [Decision],
    /// Whether the plan is not made again: it was before, or the user gave it.
    pub plan_stays: bool,
    /// Whether the best picture can be mended: it was drawn from the plan in use, whose boxes and light the fixes are.
    pub mendable: bool,
}

/// What to do, and the fixes to carry out when that is a repair or an edit.
pub fn decide<'a>(standing: &Standing<'a>) -> (Decision, Vec<&'a Fix>) {
    let Standing {
        round,
        score,
        findings,
        ..
    } = *standing;
    let decided = |action, reason: String, checks: &[String]| Decision {
        round,
        action,
        reason,
        checks: checks.to_vec(),
    };
    let failed = &findings.failed[..];
    let of = format!("{} of {} checks failed", score.fail, score.total());
    if score.fail == 0 {
        return (
            decided(Action::Accept, "no check failed".into(), &[]),
            Vec::new(),
        );
    }
    if let Some(reason) = standing.stopped() {
        return (
            decided(Action::Stop, format!("{of}, and {reason}"), failed),
            Vec::new(),
        );
    }
    if !findings.contradictory.is_empty() && !standing.plan_stays {
        let reason = "checks contradict each other, so that no picture can pass them";
        return (
            decided(Action::Replan, reason.into(), &findings.contradictory),
            Vec::new(),
        );
    }
    let fixes = chosen(&findings.fixes);
    if standing.may_repair() && !fixes.is_empty() {
        let mut checks: Vec<String> = Vec::new();
        for check in fixes.iter().flat_map(|fix| &fix.checks) {
            if !checks.contains(check) {
                checks.push(check.clone());
            }
        }
        let (action, what) = mending(&fixes);
        let reason = format!("{of}: {what} the best picture");
        return (decided(action, reason, &checks), fixes);
    }
    let again = standing.failed_again();
    if standing.tried.len() >= 2 && !again.is_empty() && !standing.plan_stays {
        let reason = format!("the same failed again after {}", names(standing.tried));
        return (decided(Action::Replan, reason, &again), Vec::new());
    }
    let reason = if standing.is_mostly_wrong() {
        format!("{of}, more than half of those that were decided: too much to repair")
    } else if standing.was_repaired() {
        format!("{of}, and a repair did not help")
    } else if standing.mendable {
        format!("{of}, and no box would mend it")
    } else {
        format!("{of}, and boxes of this picture cannot be repainted")
    };
    (decided(Action::Redraw, reason, failed), Vec::new())
}

impl Standing<'_> {
    /// Why no further round may begin.
    fn stopped(&self) -> Option<String> {
        if self.round >= self.max_rounds {
            return Some(match self.max_rounds {
                1 => "there is one round".into(),
                rounds => format!("all {rounds} rounds are used"),
            });
        }
        self.spent.map(str::to_owned)
    }

    /// A repair mends about half of what is wrong and may break what is right. When most is wrong, another seed has the better odds.
    const fn is_mostly_wrong(&self) -> bool {
        self.score.fail > self.score.pass
    }

    fn was_repaired(&self) -> bool {
        let repairs = |tried: &Decision| matches!(tried.action, Action::Repair | Action::Edit);
        self.tried.iter().any(repairs)
    }

    fn may_repair(&self) -> bool {
        self.mendable && !self.is_mostly_wrong() && !self.was_repaired()
    }

    /// Checks that failed in the best picture and in that of this round, which did not become the best.
    fn failed_again(&self) -> Vec<String> {
        let worse = self.worse.unwrap_or_default();
        let failed = self.findings.failed.iter();
        failed
            .filter(|check| worse.contains(check))
            .cloned()
            .collect()
    }
}

/// The first fixes, as many as one round carries out; what belongs together is taken whole or left.
fn chosen(fixes: &[Fix]) -> Vec<&Fix> {
    let together = |a: &Fix, b: &Fix| a.element == b.element && a.checks == b.checks;
    let mut chosen: Vec<&Fix> = Vec::new();
    for group in fixes.chunk_by(together) {
        if chosen.len() + group.len() <= MOST_FIXES {
            chosen.extend(group);
        }
    }
    chosen
}

/// What fixes are together: an edit where nothing is drawn, added or taken away.
fn mending(fixes: &[&Fix]) -> (Action, String) {
    let relit = |fix: &&&Fix| fix.kind == FixKind::Relight;
    let light = fixes.iter().any(|fix| relit(&fix));
    let painted = fixes.iter().filter(|fix| !relit(fix)).count();
    let edits = |fix: &&Fix| matches!(fix.kind, FixKind::Recolor | FixKind::Relight);
    let (action, what) = if fixes.iter().all(edits) {
        (Action::Edit, "another colour in")
    } else {
        (Action::Repair, "repainting")
    };
    let what = match (light, painted) {
        (true, 0) => "another light for".to_owned(),
        (true, _) => format!("another light for, then {what} {} of", boxes(painted)),
        (false, _) => format!("{what} {} of", boxes(painted)),
    };
    (action, what)
}

fn boxes(count: usize) -> String {
    match count {
        1 => "one box".into(),
        count => format!("{count} boxes"),
    }
}

fn names(tried: &[Decision]) -> String {
    let names: Vec<&str> = tried.iter().map(|tried| tried.action.as_str()).collect();
    names.join(" and ")
}

#[cfg(test)]
mod tests;
