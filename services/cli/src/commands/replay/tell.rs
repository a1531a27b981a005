//! A comparison in words.

use std::fmt::Write as _;

use super::compare::{Comparison, Difference};
use crate::show::{self, line, short};

/// Digests and other long words are cut to so many characters, sentences to more.
const LONGEST: usize = 20;
const LONGEST_SENTENCE: usize = 80;

/// For people; the first word says how it is.
pub fn tell(comparison: &Comparison) -> String {
    let mut text = String::new();
    let [before, after] = &comparison.sha256;
    let how = match &comparison.difference {
        None => format!("{} (sha256 {before})", show::good("identical")),
        Some(Difference::Pixels { differ: 0, .. }) => format!(
            "{} as pictures; the files say different things of themselves",
            show::good("identical")
        ),
        Some(Difference::Pixels {
            differ,
            of,
            most,
            mean,
        }) => format!(
            "{}: {differ} of {of} pixels, at most {most} of 255 apart, {mean:.3} on average",
            show::wrong("different")
        ),
        Some(Difference::Size([one, other])) => format!(
            "{}: {} x {} pixels became {} x {}",
            show::wrong("different"),
            one[0],
            one[1],
            other[0],
            other[1]
        ),
    };
    let _ = writeln!(text, "{how}");
    let _ = writeln!(text, "  original  {}", comparison.original);
    let _ = writeln!(text, "  replay    {}", comparison.replay);
    if !comparison.identical {
        let _ = writeln!(text, "  files     {before}\n            {after}");
    }
    for differs in &comparison.circumstances {
        let part = |text: &str| {
            let longest = match text.contains(' ') {
                true => LONGEST_SENTENCE,
                false => LONGEST,
            };
            match short(text, longest) {
                empty if empty.is_empty() => "none".to_owned(),
                part => part,
            }
        };
        let (one, other) = (part(&differs.original), part(&differs.replay));
        let what = line(&differs.what);
        let _ = if one == other {
            writeln!(text, "  unknown   whether {what} was the same: {one}")
        } else {
            writeln!(text, "  changed   {what}: {one}, now {other}")
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use atelier_proto::{RequestId, Sha256};

    use super::*;
    use crate::commands::replay::compare::Circumstance;

    #[test]
    fn the_first_word_says_how_it_is() {
        let mut comparison = Comparison {
            original: RequestId::at(0, [1; 10]),
            replay: RequestId::at(0, [2; 10]),
            identical: true,
            sha256: [Sha256([1; 32]); 2],
            difference: None,
            circumstances: Vec::new(),
        };
        let told =
            |comparison: &Comparison| anstream::adapter::strip_str(&tell(comparison)).to_string();
        assert!(told(&comparison).starts_with("identical (sha256 0101"));
        comparison.identical = false;
        comparison.sha256[1] = Sha256([2; 32]);
        comparison.difference = Some(Difference::Pixels {
            differ: 3,
            of: 100,
            most: 2,
            mean: 0.01,
        });
        let circumstance = |what: &str, original: &str, replay: &str| Circumstance {
            what: what.into(),
            original: original.into(),
            replay: replay.into(),
        };
        comparison.circumstances = vec![
            circumstance("device of render jobs", "cpu", "cuda:0"),
            circumstance("plan", "not told", "not told"),
            circumstance("cache of critique jobs", "", "not used"),
            circumstance("why it stopped", "", "its 8 s are over, in round 1"),
        ];
        let told = told(&comparison);
        assert!(
            told.starts_with(
                "different: 3 of 100 pixels, at most 2 of 255 apart, 0.010 on average\n"
            ),
            "{told}"
        );
        assert!(told.contains("changed   device of render jobs: cpu, now cuda:0"));
        assert!(told.contains("unknown   whether plan was the same: not told"));
        assert!(told.contains("changed   cache of critique jobs: none, now not used"));
        let stopped = "changed   why it stopped: none, now its 8 s are over, in round 1";
        assert!(told.contains(stopped), "{told}");
    }
}
