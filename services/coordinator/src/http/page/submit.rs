//! The form for new pictures, and `POST /requests`, which takes it.

use atelier_platform::artifacts::digest;
use atelier_proto::{
    RequestId,
    http::{
        MAX_PROMPT_BYTES, MAX_REFERENCE_BYTES, MAX_REFERENCES, SubmitRequest, UploadedReference,
    },
    job::{MAX_THINK_TOKENS, Priority, Size, Think},
};
use axum::{
    extract::{Multipart, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Redirect, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use maud::{Markup, html};

use super::visitor::Visitor;
use crate::{
    http::{Api, error::ApiError, requests::submit::hold_body},
    operations::images::{Wanted, submit_all_with_pictures},
};

/// Longest form: every picture as it is, and the words.
pub const MAX_BYTES: usize = MAX_REFERENCES * MAX_REFERENCE_BYTES + (1 << 20);
/// Most pictures that one form asks for.
const MOST_PICTURES: u32 = 8;
/// Longest text of a field other than the prompt, in bytes.
const MAX_FIELD_BYTES: usize = 256;

/// What a form holds.
#[derive(Debug, Default)]
struct Filled {
    /// Makes a form that is sent twice the same requests.
    once: String,
    prompt: String,
    seed: String,
    size: String,
    steps: String,
    think: String,
    think_tokens: String,
    rounds: String,
    pictures: String,
    names: Vec<String>,
    files: Vec<Vec<u8>>,
}

/// The form. `once` names it.
pub fn form(once: &[u8; 32]) -> Markup {
    let once: String = once[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    html! {
        section #new aria-labelledby="new-title" {
            h1 #new-title { "What shall be drawn?" }
            form.card.composer method="post" action="/requests" enctype="multipart/form-data" {
                input type="hidden" name="once" value=(once);
                label.quiet for="prompt" { "Prompt" }
                textarea #prompt name="prompt" required maxlength=(MAX_PROMPT_BYTES) rows="2"
                    placeholder="an orange cat left of a radio on the moon" {}
                div.line {
                    fieldset.choices {
                        legend { "Think" }
                        label { input type="radio" name="think" value="fast" checked; span { "Plan and check" } }
                        label { input type="radio" name="think" value="full"; span { "Think first" } }
                        label { input type="radio" name="think" value="off"; span { "Draw as it is" } }
                    }
                    label.field { span { "Pictures" }
                        input type="number" name="pictures" min="1" max=(MOST_PICTURES) value="1" inputmode="numeric";
                    }
                    button.primary type="submit" { "Draw" }
                }
                details {
                    summary { "Seed, size, rounds, thought, reference pictures" }
                    div.fields {
                        label.field { span { "Seed" }
                            input type="text" name="seed" inputmode="numeric" pattern="[0-9]{1,20}" placeholder="any" autocomplete="off";
                        }
                        label.field { span { "Size in pixels" }
                            input type="text" name="size" pattern="[0-9]{2,4} ?[x×] ?[0-9]{2,4}" placeholder="the model's own" autocomplete="off";
                        }
                        label.field { span { "Steps" }
                            input type="number" name="steps" min="1" max="200" placeholder="the model's own" inputmode="numeric";
                        }
                        label.field { span { "Rounds" }
                            select name="rounds" {
                                @for rounds in 1..=4 {
                                    option value=(rounds) selected[rounds == 2] { (rounds) }
                                }
                            }
                        }
                        label.field { span { "Tokens of thought" }
                            input type="number" name="think_tokens" min="1" max=(MAX_THINK_TOKENS) placeholder="with Think first" inputmode="numeric";
                        }
                    }
                    (references())
                }
            }
        }
    }
}

fn references() -> Markup {
    html! {
        fieldset.references data-most=(MAX_REFERENCES) {
            legend { "Pictures of things in the prompt" }
            p.hint { "PNG, JPEG or WebP of at most " (MAX_REFERENCE_BYTES >> 20) " MiB, each with the word of the prompt that it shows." }
            div.reference {
                label.field { span { "Word" } input type="text" name="name" maxlength="64" placeholder="mug" autocomplete="off"; }
                label.field { span { "Picture" } input type="file" name="file" accept="image/png,image/jpeg,image/webp"; }
            }
            button.plain type="button" data-more hidden { "Add another" }
        }
    }
}

/// Submits what the form asks for and shows it: the picture, or the gallery where there are several.
pub async fn handler(
    State(api): State<Api>,
    visitor: Visitor,
    headers: HeaderMap,
    form: Multipart,
) -> Response {
    // Held until the pictures are stored, as with other submits: the form, and the same as base64 and decoded.
    let _held = hold_body(&api, &headers, MAX_BYTES, 3).await;
    match accept(&api, &visitor, form).await {
        Ok(ids) => match ids[..] {
            [one] => Redirect::to(&format!("/requests/{one}")).into_response(),
            _ => Redirect::to("/").into_response(),
        },
        Err(error) => visitor.wrong(error),
    }
}

async fn accept(api: &Api, visitor: &Visitor, form: Multipart) -> Result<Vec<RequestId>, ApiError> {
    let filled = read(form).await?;
    let pictures = filled.pictures()?;
    let asked = filled.request()?;
    let body = serde_json::to_vec(&asked).expect("a request holds nothing that JSON cannot");
    let body = digest(&body);
    // A form that is sent twice makes no second request; one that was changed in between is another.
    let named = digest(format!("{} {body}", filled.once).as_bytes());
    let wanted = Wanted {
        request: asked,
        n: pictures,
        pictures: Vec::new(),
        body_sha256: body,
        idempotency_key: (!filled.once.is_empty()).then(|| format!("page-{named}")),
        brought: None,
    };
    let submitted = submit_all_with_pictures(&api.farm, visitor.tenant, wanted).await?;
    Ok(submitted.iter().map(|one| one.view.id).collect())
}

/// What a form asks for, and of how many pictures.
pub async fn asked(form: Multipart) -> Result<(SubmitRequest, u32), ApiError> {
    let filled = read(form).await?;
    Ok((filled.request()?, filled.pictures()?))
}

async fn read(mut form: Multipart) -> Result<Filled, ApiError> {
    let mut filled = Filled::default();
    while let Some(field) = form.next_field().await.map_err(unread)? {
        let name = field.name().unwrap_or_default().to_owned();
        let bytes = field.bytes().await.map_err(unread)?;
        if name == "file" {
            if filled.files.len() >= MAX_REFERENCES {
                let message = format!("at most {MAX_REFERENCES} pictures are allowed");
                return Err(ApiError::invalid("references", message));
            }
            filled.files.push(bytes.into());
            continue;
        }
        let most = if name == "prompt" {
            MAX_PROMPT_BYTES
        } else {
            MAX_FIELD_BYTES
        };
        let text = std::str::from_utf8(&bytes)
            .ok()
            .filter(|text| text.len() <= most)
            .ok_or_else(|| {
                ApiError::invalid(
                    name.clone(),
                    format!("must be text of at most {most} bytes"),
                )
            })?
            .trim()
            .to_owned();
        match name.as_str() {
            "once" if text.bytes().all(|byte| byte.is_ascii_hexdigit()) => filled.once = text,
            "prompt" => filled.prompt = text,
            "seed" => filled.seed = text,
            "size" => filled.size = text,
            "steps" => filled.steps = text,
            "think" => filled.think = text,
            "think_tokens" => filled.think_tokens = text,
            "rounds" => filled.rounds = text,
            "pictures" => filled.pictures = text,
            "name" if filled.names.len() < MAX_REFERENCES => filled.names.push(text),
            _ => return Err(ApiError::invalid(name, "is not a field of this form")),
        }
    }
    Ok(filled)
}

fn unread(error: axum::extract::multipart::MultipartError) -> ApiError {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let message = format!("the form is longer than {} MiB", MAX_BYTES >> 20);
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
        }
        _ => ApiError::new(
            StatusCode::BAD_REQUEST,
            "unreadable",
            "the form did not arrive whole",
        ),
    }
}

impl Filled {
    /// How many pictures are wanted.
    fn pictures(&self) -> Result<u32, ApiError> {
        let pictures = number(&self.pictures, "pictures")?.unwrap_or(1);
        u32::try_from(pictures)
            .ok()
            .filter(|pictures| (1..=MOST_PICTURES).contains(pictures))
            .ok_or_else(|| {
                let message = format!("must be within 1..={MOST_PICTURES}");
                ApiError::invalid("pictures", message)
            })
    }

    fn request(&self) -> Result<SubmitRequest, ApiError> {
        let small = |text: &str, field| {
            number(text, field)?
                .map(|number| {
                    u32::try_from(number).map_err(|_| ApiError::invalid(field, "is too large"))
                })
                .transpose()
        };
        Ok(SubmitRequest {
            prompt: self.prompt.clone(),
            seed: number(&self.seed, "seed")?,
            think: match self.think.as_str() {
                "off" => Think::Off,
                "" | "fast" => Think::Fast,
                "full" => Think::Full,
                _ => return Err(ApiError::invalid("think", "must be off, fast or full")),
            },
            think_tokens: small(&self.think_tokens, "think_tokens")?,
            // Somebody looks at the page.
            priority: Priority::Interactive,
            steps: small(&self.steps, "steps")?,
            size: size(&self.size)?,
            max_rounds: small(&self.rounds, "rounds")?,
            candidates: None,
            max_time_s: None,
            max_cost_s: None,
            references: self.references()?,
            ..SubmitRequest::default()
        })
    }

    /// Rows that were left empty are no references.
    fn references(&self) -> Result<Vec<UploadedReference>, ApiError> {
        let mut references = Vec::new();
        for (index, file) in self.files.iter().enumerate() {
            let name = self.names.get(index).map_or("", String::as_str);
            match (name.is_empty(), file.is_empty()) {
                (true, true) => {}
                (false, false) => references.push(UploadedReference {
                    name: name.to_owned(),
                    data: BASE64_STANDARD.encode(file),
                }),
                _ => {
                    let message = "needs both, a word of the prompt and a picture";
                    return Err(ApiError::invalid("a reference", message));
                }
            }
        }
        Ok(references)
    }
}

/// A number, or none where the field is empty.
fn number(text: &str, field: &str) -> Result<Option<u64>, ApiError> {
    if text.is_empty() {
        return Ok(None);
    }
    let number = text
        .parse()
        .map_err(|_| ApiError::invalid(field, "must be a number"))?;
    Ok(Some(number))
}

fn size(text: &str) -> Result<Option<Size>, ApiError> {
    if text.is_empty() {
        return Ok(None);
    }
    let parts = text.split_once(['x', 'X', '×']);
    let parse = |(width, height): (&str, &str)| {
        Some(Size {
            width: width.trim().parse().ok()?,
            height: height.trim().parse().ok()?,
        })
    };
    let size = parts.and_then(parse);
    let wrong = || ApiError::invalid("size", "must be width and height in pixels, as in 256x256");
    size.map(Some).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_empty_is_left_to_the_farm() {
        let filled = Filled {
            prompt: "a cat".into(),
            names: vec![String::new()],
            files: vec![Vec::new()],
            ..Filled::default()
        };
        let request = filled.request().unwrap();
        assert_eq!(
            (request.seed, request.size, request.steps),
            (None, None, None)
        );
        assert_eq!(request.think_tokens, None);
        assert_eq!((request.max_rounds, request.references.len()), (None, 0));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let field = |filled: Filled| filled.request().unwrap_err().field().unwrap().to_owned();
        let with = |change: fn(&mut Filled)| {
            let mut filled = Filled::default();
            change(&mut filled);
            field(filled)
        };
        assert_eq!(with(|filled| filled.seed = "-1".into()), "seed");
        assert_eq!(with(|filled| filled.size = "256".into()), "size");
        assert_eq!(with(|filled| filled.steps = "99999999999".into()), "steps");
        assert_eq!(with(|filled| filled.think = "hard".into()), "think");
        let many = with(|filled| filled.think_tokens = "a few".into());
        assert_eq!(many, "think_tokens");
        assert_eq!(with(|filled| filled.files = vec![vec![1]]), "a reference");
        let wanted = Some(Size {
            width: 640,
            height: 480,
        });
        assert_eq!(size("640 × 480").unwrap(), wanted);
    }
}
