//! The operations that OpenAI's client libraries know, and the links that they answer.

use atelier_proto::openai::{
    EditForm, ImageEvent, ImageRequest, ImagesResponse, Model, ModelList, OpenAiError,
};
use serde_json::{Value, json};

use super::{
    Types,
    operations::{Draft, Operation, header, json_of, merged, with_key_and_trace},
};

/// Codes of every call that asks for pictures.
const OF_PICTURES: &[&str] = &[
    "unreadable",
    "invalid_value",
    "invalid_api_key",
    "model_not_found",
    "idempotency_conflict",
    "canceled",
    "too_large",
    "unsupported_media_type",
    "rate_limit_exceeded",
    "generation_failed",
    "damaged",
    "internal",
    "unavailable",
    "timeout",
];

/// Shape of the errors here.
const REFUSAL: Option<&str> = Some("OpenAiError");

pub fn all(types: &mut Types) -> Vec<Operation> {
    types.of::<OpenAiError>();
    let mut all = pictures(types);
    all.extend(models(types));
    all.push(link());
    all
}

fn pictures(types: &mut Types) -> Vec<Operation> {
    let answer = answer(types);
    vec![
        Draft {
            summary: "Draws pictures of a prompt and waits for them, as OpenAI's client libraries ask for it. A caller that goes away cancels them, unless it named an idempotency key.",
            parameters: with_key_and_trace(),
            body: Some(types.of::<ImageRequest>()),
            answers: vec![(200, answer.clone())],
            errors: vec![OF_PICTURES, &["invalid_json"]],
            refusal: REFUSAL,
            ..Draft::default()
        }
        .at("post", "/v1/images/generations", "generate"),
        Draft {
            summary: "Draws pictures from the caller's own, whole or in the part that a mask opens, and waits for them like a generation.",
            parameters: with_key_and_trace(),
            body: Some(types.of::<EditForm>()),
            media_type: Some("multipart/form-data"),
            answers: vec![(200, answer)],
            errors: vec![OF_PICTURES, &["invalid_form"]],
            refusal: REFUSAL,
        }
        .at("post", "/v1/images/edits", "edit"),
    ]
}

/// The pictures, or their events where `stream` is true.
fn answer(types: &mut Types) -> Value {
    let events = json!({ "schema": {}, "x-event-data": types.of::<ImageEvent>() });
    let headers = json!({
        "x-request-id": header("The request of the first picture, under `/v1/requests`."),
        "x-atelier-request-ids": header("The requests of all pictures."),
        "x-atelier-ignored-fields": header("Fields that changed nothing."),
    });
    let mut answer = json_of(
        "The pictures; with `stream` server-sent events, the data of each an ImageEvent.",
        types.of::<ImagesResponse>(),
    );
    answer["content"]["text/event-stream"] = events;
    merged(answer, json!({ "headers": headers }))
}

fn models(types: &mut Types) -> Vec<Operation> {
    let name = json!({ "name": "model", "in": "path", "required": true, "description": "Name of a model.", "schema": { "type": "string" } });
    vec![
        Draft {
            summary: "The farm's model, as a list of one.",
            answers: vec![(200, json_of("The list.", types.of::<ModelList>()))],
            errors: vec![&["invalid_api_key", "unavailable", "internal"]],
            refusal: REFUSAL,
            ..Draft::default()
        }
        .at("get", "/v1/models", "models"),
        Draft {
            summary: "The farm's model, by its name.",
            parameters: vec![name],
            answers: vec![(200, json_of("The model.", types.of::<Model>()))],
            errors: vec![&[
                "invalid_api_key",
                "model_not_found",
                "unavailable",
                "internal",
            ]],
            refusal: REFUSAL,
            ..Draft::default()
        }
        .at("get", "/v1/models/{model}", "model"),
    ]
}

fn link() -> Operation {
    let token = json!({ "name": "token", "in": "path", "required": true, "description": "As a link has it.", "schema": { "type": "string" } });
    let file = |media_type: &str| json!({ "schema": { "type": "string", "contentMediaType": media_type } });
    let whole = json!({
        "description": "The picture.",
        "content": { "image/png": file("image/png"), "image/jpeg": file("image/jpeg"), "image/webp": file("image/webp") },
        "headers": { "etag": header("Names its bytes.") },
    });
    let part = json!({
        "description": "The wanted part of a PNG.",
        "content": { "image/png": file("application/octet-stream") },
        "headers": { "content-range": header("Which part this is.") },
    });
    Draft {
        summary: "A picture for whoever has a link to it, for an hour.",
        parameters: vec![token],
        answers: vec![
            (200, whole),
            (206, part),
            (304, json!({ "description": "The caller has the file." })),
        ],
        errors: vec![&[
            "bad_link",
            "range_not_satisfiable",
            "damaged",
            "unavailable",
            "internal",
        ]],
        ..Draft::default()
    }
    .open("get", "/v1/files/{token}", "file")
}
