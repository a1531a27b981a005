//! Two traces and their pictures, side by side. What differs is found here; nothing is claimed that was not compared.

use anyhow::Result;
use atelier_pictures::read;
use atelier_proto::{
    RequestId, Sha256,
    job::JobKind,
    review::Action,
    trace::{Trace, TraceJob},
};
use image::RgbImage;
use serde::Serialize;
use sha2::{Digest, Sha256 as Hasher};

use crate::show::DRAWN;

/// What a trace does not tell.
const UNTOLD: &str = "not told";

/// A request as its trace tells it, with its picture.
pub struct Side {
    pub trace: Trace,
    pub picture: Vec<u8>,
}

/// How two pictures of the same request compare.
#[derive(Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The request that was drawn again.
    pub original: RequestId,
    /// The request that did it.
    pub replay: RequestId,
    /// Equal bytes.
    pub identical: bool,
    /// Digests of both files.
    pub sha256: [Sha256; 2],
    /// How far the pixels are apart; none where the bytes are equal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<Difference>,
    /// What was not the same on the way, in the order of the jobs.
    pub circumstances: Vec<Circumstance>,
}

/// How far the pixels of two pictures are apart.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// They have other sizes: width and height of each.
    Size([[u32; 2]; 2]),
    /// They have one size.
    Pixels {
        /// Pixels that differ.
        differ: u64,
        /// All pixels.
        of: u64,
        /// Greatest difference in a channel, of 255.
        most: u8,
        /// Mean difference of all channels, of 255.
        mean: f64,
    },
}

/// Something that was not the same.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Circumstance {
    /// What.
    pub what: String,
    /// What it was at first.
    pub original: String,
    /// What it was when it was drawn again.
    pub replay: String,
}

impl Comparison {
    /// Compares.
    pub fn of(before: &Side, after: &Side) -> Result<Self> {
        let sha256 = [before, after].map(|side| Sha256(Hasher::digest(&side.picture).into()));
        let identical = before.picture == after.picture;
        let difference = if identical {
            None
        } else {
            Some(difference(
                &pixels(&before.picture)?,
                &pixels(&after.picture)?,
            ))
        };
        Ok(Self {
            original: before.trace.request,
            replay: after.trace.request,
            identical,
            sha256,
            difference,
            circumstances: circumstances(&before.trace, &after.trace),
        })
    }

    /// Whether the pictures look exactly alike; their files may still say different things of themselves.
    pub fn is_same(&self) -> bool {
        match &self.difference {
            None => self.identical,
            Some(Difference::Size(_)) => false,
            Some(Difference::Pixels { differ, .. }) => *differ == 0,
        }
    }
}

fn pixels(png: &[u8]) -> Result<RgbImage> {
    let read = read(png, &DRAWN);
    Ok(read
        .map_err(|error| anyhow::anyhow!("the farm's picture {error}"))?
        .into_rgb8())
}

fn difference(before: &RgbImage, after: &RgbImage) -> Difference {
    if before.dimensions() != after.dimensions() {
        return Difference::Size([before, after].map(|image| [image.width(), image.height()]));
    }
    let (mut differ, mut most, mut sum) = (0, 0, 0_u64);
    for (one, other) in before.pixels().zip(after.pixels()) {
        let apart = [0, 1, 2].map(|channel| one.0[channel].abs_diff(other.0[channel]));
        differ += u64::from(apart != [0; 3]);
        most = apart.into_iter().fold(most, u8::max);
        sum += apart.into_iter().map(u64::from).sum::<u64>();
    }
    let of = u64::from(before.width()) * u64::from(before.height());
    Difference::Pixels {
        differ,
        of,
        most,
        mean: sum as f64 / (of * 3).max(1) as f64,
    }
}

/// Everything that may explain a difference. What one trace does not tell is said to be so.
fn circumstances(before: &Trace, after: &Trace) -> Vec<Circumstance> {
    let mut found = Vec::new();
    let mut compare = |what: &str, original: String, replay: String| {
        let unknown = original == UNTOLD || replay == UNTOLD;
        if original != replay || unknown {
            found.push(Circumstance {
                what: what.to_owned(),
                original,
                replay,
            });
        }
    };
    compare("model", before.model.clone(), after.model.clone());
    compare("plan", plan(before), plan(after));
    for kind in JobKind::ALL {
        for (name, fact) in FACTS {
            let told = |trace: &Trace| told(trace, kind, fact);
            compare(
                &format!("{name} of {} jobs", kind.as_str()),
                told(before),
                told(after),
            );
        }
    }
    let drawn = |trace: &Trace| trace.jobs.iter().filter(|job| is_drawn(job)).count();
    compare(
        "drawings",
        drawn(before).to_string(),
        drawn(after).to_string(),
    );
    compare("why it stopped", stopped(before), stopped(after));
    for job in before.jobs.iter().filter(|job| is_drawn(job)) {
        let place = |job: &TraceJob| (job.round, job.candidate, job.stage.clone());
        let same = |other: &&TraceJob| is_drawn(other) && place(other) == place(job);
        if let Some(other) = after.jobs.iter().find(same) {
            let stage = job.stage.as_deref().unwrap_or("?");
            let one = job.candidate;
            let one = one.map_or_else(String::new, |one| format!(" of candidate {one}"));
            let name = format!("picture of stage {stage}{one} in round {}", job.round);
            compare(&name, artifact(job), artifact(other));
        }
    }
    found
}

type Fact = fn(&TraceJob) -> Option<String>;

const FACTS: [(&str, Fact); 5] = [
    ("weights", |job| {
        Some(job.made.as_ref()?.weights?.to_string())
    }),
    ("device", |job| Some(job.made.as_ref()?.device.clone())),
    ("program", |job| Some(job.made.as_ref()?.version.clone())),
    ("drawn at once", |job| {
        Some(job.batch.unwrap_or(1).to_string())
    }),
    ("cache", |job| {
        Some(
            if job.made.as_ref()?.cached {
                "used"
            } else {
                "not used"
            }
            .to_owned(),
        )
    }),
];

/// What the jobs of a kind tell, each value once; nothing where there are none.
fn told(trace: &Trace, kind: JobKind, fact: Fact) -> String {
    let mut values: Vec<String> = Vec::new();
    let done = |job: &&TraceJob| job.kind == kind && job.state == "done";
    for job in trace.jobs.iter().filter(done) {
        let value = fact(job).unwrap_or_else(|| UNTOLD.to_owned());
        if !values.contains(&value) {
            values.push(value);
        }
    }
    values.join(", ")
}

/// What ended a request before its picture was as wanted: a limit of rounds, time or cost, in the farm's words. The same limits end it earlier
/// on a busier farm.
fn stopped(trace: &Trace) -> String {
    let last = trace.decisions.last();
    let Some(stop) = last.filter(|last| last.action == Action::Stop) else {
        return String::new();
    };
    // Before that it tells how many checks failed.
    let reason = stop.reason.split_once(", and ");
    let reason = reason.map_or(stop.reason.as_str(), |(_, reason)| reason);
    format!("{reason}, in round {}", stop.round)
}

fn plan(trace: &Trace) -> String {
    let artifact = trace.plan_artifact;
    artifact.map_or_else(|| UNTOLD.to_owned(), |plan| plan.sha256.to_string())
}

fn artifact(job: &TraceJob) -> String {
    let made = job.artifact;
    made.map_or_else(|| UNTOLD.to_owned(), |made| made.sha256.to_string())
}

fn is_drawn(job: &TraceJob) -> bool {
    job.kind == JobKind::Render && job.artifact.is_some()
}

#[cfg(test)]
mod tests;
