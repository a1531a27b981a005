//! Words in square brackets of a prompt that tell the double what shall go wrong: `a cat [fail:render] [slow:250]`.

use std::time::Duration;

use atelier_proto::job::JobKind;

/// Most bytes that a prompt may ask for.
const MOST_BYTES: u32 = 1 << 20;
/// Longest step that a prompt may ask for.
const LONGEST_STEP: Duration = Duration::from_secs(60);

/// One directive. Those with a kind are written `[word:kind]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directive {
    /// `[slow:250]`: every step takes so many milliseconds.
    Slow(Duration),
    /// `[fail:render]`: fails, another attempt may do better.
    Fail(JobKind),
    /// `[impossible:plan]`: fails, another attempt would too.
    Impossible(JobKind),
    /// `[full:render]`: the device has no room for it; another worker's may.
    Full(JobKind),
    /// `[flaky:render]`: fails the first time that this process sees the prompt.
    Flaky(JobKind),
    /// `[panic:render]`: the engine panics.
    Panic(JobKind),
    /// `[abort:render]`: the process dies at once.
    Abort(JobKind),
    /// `[hang:render]`: never ends, whatever it is told, as a call into a driver may.
    Hang(JobKind),
    /// `[blend]`: the plan has three stages, two drawn and one blended.
    Blend,
    /// `[bytes:2000]`: pictures and answers of about so many bytes that no compression makes smaller, drawn in one step without previews.
    Bytes(u32),
    /// `[hopeless]`: no check ever passes.
    Hopeless,
    /// `[misses]`: about half of the checks pass, by seed.
    Misses,
    /// `[dark]`: night is asked for and not drawn; only an edit makes it.
    Dark,
    /// `[lacks:2]`: the second thing is left out of every drawing; only a repair paints it.
    Lacks(u8),
}

/// The directives of a prompt, in their order; brackets with other words are ignored.
pub fn directives(prompt: &str) -> Vec<Directive> {
    prompt
        .split('[')
        .skip(1)
        .filter_map(|rest| rest.split_once(']'))
        .filter_map(|(inside, _)| parse(inside))
        .collect()
}

/// How many bytes the prompt wants of everything, if it does.
pub(super) fn bytes(prompt: &str) -> Option<u32> {
    directives(prompt)
        .into_iter()
        .find_map(|directive| match directive {
            Directive::Bytes(bytes) => Some(bytes),
            _ => None,
        })
}

/// The prompt without its brackets.
pub(super) fn without(prompt: &str) -> String {
    let mut depth = 0_u32;
    let mut outside = String::with_capacity(prompt.len());
    for part in prompt.split_inclusive(['[', ']']) {
        let text = part.trim_end_matches(['[', ']']);
        if depth == 0 {
            outside.push_str(text);
        }
        match part.as_bytes().last() {
            Some(b'[') => depth += 1,
            Some(b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    outside
}

fn parse(inside: &str) -> Option<Directive> {
    let Some((word, detail)) = inside.split_once(':') else {
        return match inside {
            "blend" => Some(Directive::Blend),
            "dark" => Some(Directive::Dark),
            "hopeless" => Some(Directive::Hopeless),
            "misses" => Some(Directive::Misses),
            _ => None,
        };
    };
    if word == "slow" {
        let step = Duration::from_millis(detail.parse().ok()?);
        return Some(Directive::Slow(step.min(LONGEST_STEP)));
    }
    if word == "bytes" {
        let bytes: u32 = detail.parse().ok()?;
        return Some(Directive::Bytes(bytes.min(MOST_BYTES)));
    }
    if word == "lacks" {
        return Some(Directive::Lacks(detail.parse().ok()?));
    }
    let kind: JobKind = detail.parse().ok()?;
    match word {
        "fail" => Some(Directive::Fail(kind)),
        "impossible" => Some(Directive::Impossible(kind)),
        "full" => Some(Directive::Full(kind)),
        "flaky" => Some(Directive::Flaky(kind)),
        "panic" => Some(Directive::Panic(kind)),
        "abort" => Some(Directive::Abort(kind)),
        "hang" => Some(Directive::Hang(kind)),
        _ => None,
    }
}
