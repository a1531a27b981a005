//! From drawn pictures to an answer: read, written in the wanted format, counted.

use atelier_pictures::{Bounds, Format, read, write};
use atelier_platform::{ArtifactError, artifacts::MAX_ARTIFACT_BYTES};
use atelier_proto::{
    ArtifactRef, RequestId, TenantId,
    openai::{Picture, ResponseFormat, TokenCounts, Usage},
    plan::Plan,
};
use axum::http::{HeaderMap, HeaderValue};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;

use super::{
    IGNORED_FIELDS, REQUEST_ID, REQUEST_IDS, Refusal, fields::Ignored, waiting::Drawn, wish::Reply,
};
use crate::{
    farm::{Farm, Turn},
    http::{Api, signed},
    operations::submit::Submitted,
};

/// Pixels of a side of what is counted as one token of a picture.
const TOKEN_SIDE: u64 = 16;
/// Longest plan that is read for its caption, in bytes.
const MAX_PLAN_BYTES: u64 = 1 << 20;
/// What a picture of the farm is at most.
const BOUNDS: Bounds = Bounds::of(8_192, MAX_ARTIFACT_BYTES as usize);

/// A picture as it is answered, and its size.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The picture.
    pub picture: Picture,
    /// Pixels.
    pub size: (u32, u32),
}

/// A drawn picture in the form that the caller wants. `here` is how the caller reaches this API.
pub async fn show(
    api: &Api,
    tenant: TenantId,
    drawn: &Drawn,
    reply: &Reply,
    here: &str,
) -> Result<Shown, Refusal> {
    let farm = &api.farm;
    let file = farm
        .artifacts
        .get(&drawn.image, MAX_ARTIFACT_BYTES)
        .await
        .map_err(|error| Refusal::from(error).about(drawn.request))?;
    let size = size_of(&file).ok_or_else(|| Refusal::failed("its picture cannot be read"))?;
    let mut picture = Picture {
        revised_prompt: caption(farm, tenant, drawn.request).await,
        seed: drawn.seed,
        request: Some(drawn.request),
        ..Picture::default()
    };
    match reply.by {
        ResponseFormat::Url => {
            picture.url = Some(signed::link(api, &drawn.image, reply.format, here).await?);
        }
        ResponseFormat::B64Json => {
            let file = converted(api, file, reply.format).await?;
            picture.b64_json = Some(BASE64_STANDARD.encode(file));
        }
    }
    Ok(Shown { picture, size })
}

/// A PNG file in another format, in its turn; as PNG it stays as it is, with all that it says of itself.
pub async fn converted(api: &Api, png: Bytes, format: Format) -> Result<Bytes, Refusal> {
    if format == Format::Png {
        return Ok(png);
    }
    converted_in(api.converting.turn().await, png, format).await
}

/// The same in a turn that the caller has.
pub async fn converted_in(turn: Turn, png: Bytes, format: Format) -> Result<Bytes, Refusal> {
    let convert = move || {
        let picture = read(&png, &BOUNDS).map_err(|error| error.to_string())?;
        write(&picture, format, &[]).map_err(|error| error.to_string())
    };
    match turn.run((), convert).await {
        Ok((Ok(file), ())) => Ok(file.into()),
        Ok((Err(error), ())) => Err(Refusal::failed(&format!("its picture {error}"))),
        Err(error) => Err(Refusal::failed(&error.to_string())),
    }
}

/// Width and height by a file's head.
pub fn size_of(file: &[u8]) -> Option<(u32, u32)> {
    let reader = image::ImageReader::new(std::io::Cursor::new(file));
    reader.with_guessed_format().ok()?.into_dimensions().ok()
}

/// The caption of a request's plan. Without it the answer is as good.
async fn caption(farm: &Farm, tenant: TenantId, id: RequestId) -> Option<String> {
    let plan = farm.store.plan(tenant, id).await;
    let plan = plan.inspect_err(|error| tracing::warn!(request = %id, %error, "no caption"));
    match read_plan(farm, plan.ok()??).await {
        Ok(plan) => plan.map(|plan| plan.caption),
        Err(error) => {
            tracing::warn!(request = %id, %error, "no caption");
            None
        }
    }
}

async fn read_plan(farm: &Farm, plan: ArtifactRef) -> Result<Option<Plan>, ArtifactError> {
    let bytes = farm.artifacts.get(&plan, MAX_PLAN_BYTES).await?;
    Ok(serde_json::from_slice(&bytes).ok())
}

/// What went in and came out.
pub fn usage(prompt: &str, inputs: &[(u32, u32)], outputs: &[(u32, u32)]) -> Usage {
    let pictures = |sizes: &[(u32, u32)]| sizes.iter().map(|size| squares(*size)).sum();
    let input = TokenCounts {
        text_tokens: words(prompt),
        image_tokens: pictures(inputs),
    };
    let output = TokenCounts {
        text_tokens: 0,
        image_tokens: pictures(outputs),
    };
    let sum = |counts: TokenCounts| counts.text_tokens + counts.image_tokens;
    Usage {
        input_tokens: sum(input),
        input_tokens_details: input,
        output_tokens: sum(output),
        output_tokens_details: output,
        total_tokens: sum(input) + sum(output),
    }
}

fn squares((width, height): (u32, u32)) -> u64 {
    u64::from(width).div_ceil(TOKEN_SIDE) * u64::from(height).div_ceil(TOKEN_SIDE)
}

/// Runs of letters and digits are one each, and so is every other character that is no space.
fn words(text: &str) -> u64 {
    let mut count = 0;
    let mut inside = false;
    for c in text.chars() {
        let letter = c.is_alphanumeric();
        if letter && !inside || !letter && !c.is_whitespace() {
            count += 1;
        }
        inside = letter;
    }
    count
}

/// Width and height as the API writes them.
pub fn size_text((width, height): (u32, u32)) -> String {
    format!("{width}x{height}")
}

/// Headers that name the requests of a call, and what of it was ignored.
pub fn headers(submitted: &[Submitted], ignored: &Ignored) -> HeaderMap {
    let ids: Vec<String> = submitted
        .iter()
        .map(|one| one.view.id.to_string())
        .collect();
    let values = [
        (REQUEST_ID, ids.first().cloned()),
        (REQUEST_IDS, (!ids.is_empty()).then(|| ids.join(", "))),
        (IGNORED_FIELDS, ignored.listed()),
    ];
    values
        .into_iter()
        .filter_map(|(name, value)| Some((name, HeaderValue::from_str(&value?).ok()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_words_and_squares() {
        let usage = usage("a cat, and 2 dogs!", &[(17, 16)], &[(128, 128), (64, 48)]);
        assert_eq!(usage.input_tokens_details.text_tokens, 7);
        assert_eq!(usage.input_tokens_details.image_tokens, 2);
        assert_eq!(usage.output_tokens, 64 + 12);
        assert_eq!(usage.total_tokens, usage.input_tokens + usage.output_tokens);
    }
}
