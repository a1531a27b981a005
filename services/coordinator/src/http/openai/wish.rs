//! What a call wants, in the farm's words: every field is honoured, or refused by name.

use atelier_pictures::Format;
use atelier_proto::{
    job::{Priority, Size, Think},
    openai::{
        Background, Complexity, ImageRequest, MAX_PARTIAL_PICTURES, MAX_PICTURES, OutputFormat,
        Quality, ResponseFormat,
    },
};

use super::error::Refusal;
use crate::operations::submit::check_size;

/// What is drawn, and how it is answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// What to draw.
    pub prompt: String,
    /// How many.
    pub n: u32,
    /// Seed of the first.
    pub seed: Option<u64>,
    /// How much to think.
    pub think: Think,
    /// Most tokens of a free thought.
    pub think_tokens: Option<u32>,
    /// Most rounds.
    pub max_rounds: u32,
    /// How urgent.
    pub priority: Priority,
    /// Denoise steps.
    pub steps: Option<u32>,
    /// Size in pixels.
    pub size: Option<Size>,
    /// How it is answered.
    pub reply: Reply,
}

/// How pictures are answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The format as it is told.
    pub output_format: OutputFormat,
    /// The same as it is written.
    pub format: Format,
    /// Links or files.
    pub by: ResponseFormat,
    /// What is done for them, in the words of a request.
    pub quality: Quality,
    /// The size as it was asked for.
    pub asked_size: String,
    /// Most partial pictures, where it is a stream.
    pub stream: Option<u32>,
    /// Whose pictures they are.
    pub safety_identifier: Option<String>,
}

impl Wish {
    /// Reads a request to a farm of `model`.
    pub fn of(request: ImageRequest, model: &str) -> Result<Self, Refusal> {
        if let Some(name) = request.model.as_deref().filter(|name| *name != model) {
            return Err(Refusal::no_model(name, model));
        }
        not_made_here(&request)?;
        let prompt = request
            .prompt
            .clone()
            .ok_or_else(|| Refusal::field("prompt", "is missing: say what to draw"))?;
        let n = request.n.unwrap_or(1);
        if !(1..=MAX_PICTURES).contains(&n) {
            let message = format!("must be within 1..={MAX_PICTURES}");
            return Err(Refusal::field("n", message));
        }
        let (think, max_rounds) = effort(&request)?;
        Ok(Self {
            prompt,
            n,
            seed: request.seed,
            think,
            think_tokens: request.think_tokens,
            max_rounds,
            priority: request.priority.unwrap_or(Priority::Interactive),
            steps: request.steps,
            size: sized(request.size.as_deref())?,
            reply: Reply::of(&request, n, done(think, max_rounds))?,
        })
    }
}

impl Reply {
    fn of(request: &ImageRequest, n: u32, quality: Quality) -> Result<Self, Refusal> {
        let partial = request.partial_images.unwrap_or(0);
        if partial > MAX_PARTIAL_PICTURES {
            let message = format!("must be within 0..={MAX_PARTIAL_PICTURES}");
            return Err(Refusal::field("partial_images", message));
        }
        let stream = request.stream == Some(true);
        if partial > 0 && !stream {
            let message = "comes in streams only: set stream to true as well";
            return Err(Refusal::field("partial_images", message));
        }
        if stream && n > 1 {
            let message = "a stream is of one picture: make a call for each";
            return Err(Refusal::field("n", message));
        }
        let output_format = request.output_format.unwrap_or_default();
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        Ok(Self {
            output_format,
            format: format(output_format, request.output_compression)?,
            by: request.response_format.unwrap_or_default(),
            quality,
            asked_size: request.size.clone().unwrap_or_else(|| "auto".to_owned()),
            stream: stream.then_some(partial),
            safety_identifier: filled(&request.safety_identifier).or_else(|| filled(&request.user)),
        })
    }
}

fn not_made_here(request: &ImageRequest) -> Result<(), Refusal> {
    if request.background == Some(Background::Transparent) {
        let message = "pictures are opaque here: ask for opaque or auto";
        return Err(Refusal::field("background", message));
    }
    for (name, given) in [
        ("frame_count", request.frame_count.is_some()),
        ("frame_duration_ms", request.frame_duration_ms.is_some()),
        ("svg", request.svg.is_some()),
    ] {
        if given {
            let message = "belongs to formats that are not made here: leave it out";
            return Err(Refusal::field(name, message));
        }
    }
    Ok(())
}

/// How much to think, and how many rounds. What is named in the farm's own words goes first, then `complexity`, then `quality`.
fn effort(request: &ImageRequest) -> Result<(Think, u32), Refusal> {
    let (think, rounds) = match request.quality.unwrap_or(Quality::Auto) {
        Quality::Low => (Think::Off, 1),
        Quality::Medium | Quality::Standard => (Think::Fast, 1),
        Quality::High | Quality::Hd | Quality::Auto => (Think::Fast, 2),
        Quality::Xhigh => (Think::Fast, 3),
        Quality::Max => (Think::Fast, 4),
    };
    let think = match request.complexity {
        None => think,
        Some(Complexity::Low) => Think::Off,
        Some(Complexity::Medium) => Think::Fast,
        Some(Complexity::High) => Think::Full,
    };
    let rounds = request.max_rounds.unwrap_or(rounds);
    if !(1..=4).contains(&rounds) {
        return Err(Refusal::field("max_rounds", "must be within 1..=4"));
    }
    Ok((request.think.unwrap_or(think), rounds))
}

/// What is done for a picture, in the words of a request. Without a plan there are no checks, and so one round whatever was asked for.
fn done(think: Think, rounds: u32) -> Quality {
    match (think, rounds) {
        (Think::Off, _) => Quality::Low,
        (_, ..=1) => Quality::Medium,
        (_, 2) => Quality::High,
        (_, 3) => Quality::Xhigh,
        (_, 4..) => Quality::Max,
    }
}

/// Nothing of another size is ever drawn, nor even made ready for it.
fn sized(text: Option<&str>) -> Result<Option<Size>, Refusal> {
    let size = size(text)?;
    if let Some(size) = size {
        check_size(size)?;
    }
    Ok(size)
}

fn size(text: Option<&str>) -> Result<Option<Size>, Refusal> {
    let Some(text) = text.filter(|text| *text != "auto") else {
        return Ok(None);
    };
    let digits = |side: &str| {
        let plain = !side.is_empty() && side.bytes().all(|byte| byte.is_ascii_digit());
        side.parse().ok().filter(|_| plain)
    };
    let sides = text.split_once('x');
    let sides = sides.and_then(|(width, height)| digits(width).zip(digits(height)));
    sides
        .map(|(width, height)| Some(Size { width, height }))
        .ok_or_else(|| Refusal::field("size", "must be auto, or like 1024x1024"))
}

/// How a file is written. WebP is written without loss here, as PNG always is.
fn format(format: OutputFormat, compression: Option<u32>) -> Result<Format, Refusal> {
    let compression = compression.unwrap_or(100);
    if compression > 100 {
        return Err(Refusal::field(
            "output_compression",
            "must be within 0..=100",
        ));
    }
    let lossless = |format| {
        if compression == 100 {
            return Ok(format);
        }
        let message = "this format is written without loss: leave it at 100, or ask for jpeg";
        Err(Refusal::field("output_compression", message))
    };
    match format {
        OutputFormat::Png => lossless(Format::Png),
        OutputFormat::Webp => lossless(Format::WebP),
        OutputFormat::Jpeg => Ok(Format::Jpeg {
            // 0 is the smallest file there is, and so is 1.
            quality: compression.clamp(1, 100) as u8,
        }),
        OutputFormat::Gif | OutputFormat::Svg => Err(Refusal::field(
            "output_format",
            "is not made here: ask for png, jpeg or webp",
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(fields: Value) -> Result<Wish, Refusal> {
        let request = serde_json::from_value(fields).unwrap();
        Wish::of(request, "mini")
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        for (fields, field) in [
            (json!({}), "prompt"),
            (json!({"prompt": "x", "model": "other"}), "model"),
            (json!({"prompt": "x", "n": 0}), "n"),
            (json!({"prompt": "x", "n": 11}), "n"),
            (json!({"prompt": "x", "n": 2, "stream": true}), "n"),
            (json!({"prompt": "x", "size": "big"}), "size"),
            (json!({"prompt": "x", "size": "+64x64"}), "size"),
            (json!({"prompt": "x", "size": "64x"}), "size"),
            (
                json!({"prompt": "x", "background": "transparent"}),
                "background",
            ),
            (
                json!({"prompt": "x", "output_format": "gif"}),
                "output_format",
            ),
            (
                json!({"prompt": "x", "output_format": "svg"}),
                "output_format",
            ),
            (
                json!({"prompt": "x", "output_compression": 50}),
                "output_compression",
            ),
            (
                json!({"prompt": "x", "output_format": "jpeg", "output_compression": 101}),
                "output_compression",
            ),
            (
                json!({"prompt": "x", "partial_images": 1}),
                "partial_images",
            ),
            (
                json!({"prompt": "x", "stream": true, "partial_images": 4}),
                "partial_images",
            ),
            (json!({"prompt": "x", "frame_count": 3}), "frame_count"),
            (
                json!({"prompt": "x", "frame_duration_ms": 3}),
                "frame_duration_ms",
            ),
            (json!({"prompt": "x", "svg": {}}), "svg"),
            (json!({"prompt": "x", "max_rounds": 0}), "max_rounds"),
        ] {
            let detail = read(fields.clone()).unwrap_err().detail();
            assert_eq!(detail.param.as_deref(), Some(field), "{fields}");
        }
    }

    #[test]
    fn quality_is_thought_and_rounds() {
        for (fields, expected, told) in [
            (json!({}), (Think::Fast, 2), Quality::High),
            (json!({"quality": "low"}), (Think::Off, 1), Quality::Low),
            (
                json!({"quality": "medium"}),
                (Think::Fast, 1),
                Quality::Medium,
            ),
            (
                json!({"quality": "standard"}),
                (Think::Fast, 1),
                Quality::Medium,
            ),
            (json!({"quality": "hd"}), (Think::Fast, 2), Quality::High),
            (json!({"quality": "max"}), (Think::Fast, 4), Quality::Max),
            (
                json!({"quality": "max", "complexity": "low"}),
                (Think::Off, 4),
                Quality::Low,
            ),
            (
                json!({"complexity": "low", "think": "fast"}),
                (Think::Fast, 2),
                Quality::High,
            ),
            (
                json!({"quality": "low", "think": "fast", "max_rounds": 3}),
                (Think::Fast, 3),
                Quality::Xhigh,
            ),
        ] {
            let mut all = fields.clone();
            all["prompt"] = json!("x");
            let wish = read(all).unwrap();
            assert_eq!((wish.think, wish.max_rounds), expected, "{fields}");
            assert_eq!(wish.reply.quality, told, "{fields}");
        }
    }

    #[test]
    fn the_rest_is_taken_as_it_is() {
        let wish = read(json!({
            "prompt": "x", "model": "mini", "n": 3, "think_tokens": 9, "size": "64x128", "output_format": "jpeg", "output_compression": 0,
            "response_format": "url", "seed": 7, "steps": 4, "priority": "batch", "user": "me", "safety_identifier": "",
            "background": "opaque", "style": "vivid", "moderation": "low",
        }))
        .unwrap();
        assert_eq!((wish.n, wish.seed, wish.steps), (3, Some(7), Some(4)));
        assert_eq!(wish.think_tokens, Some(9));
        assert_eq!(
            wish.size,
            Some(Size {
                width: 64,
                height: 128
            })
        );
        assert_eq!(wish.priority, Priority::Batch);
        assert_eq!(wish.reply.format, Format::Jpeg { quality: 1 });
        assert_eq!(wish.reply.by, ResponseFormat::Url);
        assert_eq!(wish.reply.safety_identifier.as_deref(), Some("me"));
        assert_eq!(wish.reply.stream, None);
        let wish = read(json!({"prompt": "x", "stream": true, "size": "auto"})).unwrap();
        assert_eq!((wish.size, wish.reply.stream), (None, Some(0)));
        assert_eq!(wish.priority, Priority::Interactive);
    }
}
