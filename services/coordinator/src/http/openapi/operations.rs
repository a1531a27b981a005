//! What callers can do, one entry an operation, in the order of the router.

use atelier_proto::{
    http::{
        ErrorBody, Event, Health, Readiness, RequestList, RequestView, SubmitRequest, WorkerView,
    },
    trace::Trace,
    webhook::{WebhookList, WebhookSecret},
};
use serde_json::{Map, Value, json};

use super::{Types, codes::meaning};
use crate::http::{
    requests::{image, list::Page},
    webhooks::WebhookPage,
};

/// One method of one path.
pub struct Operation {
    /// As the router names it.
    pub path: &'static str,
    /// In small letters.
    pub method: &'static str,
    /// An OpenAPI operation object.
    pub description: Value,
}

/// Codes that any operation on a request may answer with.
const OF_REQUEST: &[&str] = &[
    "unauthorized",
    "invalid_id",
    "not_found",
    "unavailable",
    "internal",
];

/// Every operation.
pub fn all(types: &mut Types) -> Vec<Operation> {
    // Every error answer refers to it.
    types.of::<ErrorBody>();
    let mut all = requests(types);
    all.extend(files(types));
    all.extend(farm(types));
    all.extend(super::images::all(types));
    all
}

fn requests(types: &mut Types) -> Vec<Operation> {
    let view = json_of("The request as it stands.", types.of::<RequestView>());
    let submitted = |text: &str| {
        let headers = json!({
            "location": header("Where the request is."),
            "traceparent": header("The request's span, in W3C trace context."),
        });
        merged(
            view.clone(),
            json!({ "description": text, "headers": headers }),
        )
    };
    let cancel = Draft {
        summary: "Stops a request; one that ended stays as it ended.",
        answers: vec![(200, view.clone())],
        errors: vec![OF_REQUEST, &["cross_site"]],
        ..Draft::default()
    };
    vec![
        Draft {
            summary: "Submits a request. The answer means that it is durable.",
            parameters: with_key_and_trace(),
            body: Some(types.of::<SubmitRequest>()),
            answers: vec![
                (201, submitted("The request is new.")),
                (200, submitted("The idempotency key names this request, which was submitted before.")),
            ],
            errors: vec![&[
                "unauthorized", "cross_site", "invalid_json", "unreadable", "idempotency_conflict", "too_large", "unsupported_media_type", "invalid",
                "queue_full", "unavailable", "internal",
            ]],
            ..Draft::default()
        }
        .at("post", "/v1/requests", "submit"),
        Draft {
            summary: "Lists requests, newest first.",
            parameters: types.query::<Page>(),
            answers: vec![(200, json_of("One page.", types.of::<RequestList>()))],
            errors: vec![&["unauthorized", "invalid_query", "invalid", "unavailable", "internal"]],
            ..Draft::default()
        }
        .at("get", "/v1/requests", "list"),
        Draft {
            summary: "Says where a request stands.",
            answers: vec![(200, view.clone())],
            errors: vec![OF_REQUEST],
            ..Draft::default()
        }
        .at("get", "/v1/requests/{id}", "show"),
        cancel.clone().at("delete", "/v1/requests/{id}", "delete"),
        cancel.at("post", "/v1/requests/{id}/cancel", "cancel"),
        Draft {
            summary: "Asks again for what failed or was canceled, as a new request.",
            parameters: with_key_and_trace(),
            answers: vec![
                (201, submitted("The request is new.")),
                (200, submitted("The idempotency key names this request, which was asked for before.")),
            ],
            errors: vec![OF_REQUEST, &["cross_site", "not_retryable", "idempotency_conflict", "invalid", "queue_full"]],
            ..Draft::default()
        }
        .at("post", "/v1/requests/{id}/retry", "retry"),
        Draft {
            summary: "Tells a request's states and progress as server-sent events, up to its end.",
            parameters: vec![in_header("last-event-id", "The `id` of the last event that the reader has. The state is told anew; a reader that has the last one gets 204, which ends its reconnecting.")],
            answers: vec![
                (200, json!({
                    "description": "Events `request` (with an `id` that names the state) and `progress`; the data of each is an Event.",
                    "content": { "text/event-stream": { "schema": {}, "x-event-data": types.of::<Event>() } },
                })),
                (204, json!({ "description": "The request ended, and the reader has its last state." })),
            ],
            errors: vec![OF_REQUEST],
            ..Draft::default()
        }
        .at("get", "/v1/requests/{id}/events", "events"),
    ]
}

/// Headers of every call that makes requests.
pub(super) fn with_key_and_trace() -> Vec<Value> {
    vec![
        in_header(
            "idempotency-key",
            "The caller's own name for this call, 1 to 255 visible ASCII characters: a second call with it makes no second request.",
        ),
        in_header(
            "traceparent",
            "W3C trace context of the caller: its trace id then stands in all logs about the request. One that cannot be read is ignored.",
        ),
    ]
}

fn files(types: &mut Types) -> Vec<Operation> {
    let file = |summary, media_type: &str, schema: Value, code: &'static [&'static str]| {
        let content = json!({ media_type: { "schema": schema } });
        let headers = json!({
            "etag": header("SHA-256 of the file, in quotes."),
            "content-disposition": header("The name to save it as."),
        });
        let whole = json!({ "description": "The file.", "content": content, "headers": headers });
        let part = json!({
            "description": "The wanted part.",
            // A part of JSON is none, unless it is the whole.
            "content": { media_type: { "schema": { "contentMediaType": "application/octet-stream" } } },
            "headers": merged(headers.clone(), json!({ "content-range": header("Which part this is.") })),
        });
        Draft {
            summary,
            parameters: vec![
                in_header(
                    "if-none-match",
                    "Entity tags that the caller has the files of.",
                ),
                in_header(
                    "range",
                    "One part of the file, for example `bytes=100-199`. Several parts are answered with the whole.",
                ),
                in_header(
                    "if-range",
                    "Entity tag of the file that the range is meant for; of another one the whole is answered.",
                ),
            ],
            answers: vec![
                (200, whole),
                (206, part),
                (304, json!({ "description": "The caller has the file." })),
            ],
            errors: vec![OF_REQUEST, &["range_not_satisfiable", "damaged"], code],
            ..Draft::default()
        }
    };
    let png = json!({ "type": "string", "contentMediaType": "image/png" });
    let trace = types.of::<Trace>();
    let mut picture = file(
        "The picture; while the request is worked on, the best so far.",
        "image/png",
        png,
        &["no_image", "invalid_query"],
    );
    picture.parameters.extend(types.query::<image::Wanted>());
    picture.answers.push((
        307,
        json!({
            "description": "Asked for by `redirect`, where the store signs URLs: the picture is there.",
            "headers": { "location": header("A URL that is good for some minutes, without a key.") },
        }),
    ));
    let bytes = json!({ "type": "string", "contentMediaType": "application/octet-stream" });
    let mut named = file(
        "A file that the request names: the picture of a stage, a plan, a review, a picture that the user brought. `not_found` also of files that only others name.",
        "image/png",
        bytes,
        &[],
    );
    named.answers[0].1["content"]["application/json"] = json!({ "schema": {} });
    vec![
        picture.at("get", "/v1/requests/{id}/image", "image"),
        file(
            "Everything that led to the result.",
            "application/json",
            trace,
            &["not_finished"],
        )
        .at("get", "/v1/requests/{id}/trace", "trace"),
        named.at("get", "/v1/requests/{id}/artifacts/{sha256}", "artifact"),
    ]
}

fn farm(types: &mut Types) -> Vec<Operation> {
    let webhooks = types.of::<WebhookList>();
    let secret = types.of::<WebhookSecret>();
    let workers = json!({ "type": "array", "items": types.of::<WorkerView>() });
    let text = |description: &str| json!({ "description": description, "content": { "text/plain": { "schema": { "type": "string" } } } });
    let health = types.of::<Health>();
    let readiness = types.of::<Readiness>();
    vec![
        Draft {
            summary: "The workers that were heard in the last seconds.",
            answers: vec![(200, json_of("By name.", workers))],
            errors: vec![&["unauthorized", "unavailable", "internal"]],
            ..Draft::default()
        }
        .at("get", "/v1/workers", "workers"),
        Draft {
            summary: "Who was or is to be told of the ends of requests, newest requests first.",
            parameters: types.query::<WebhookPage>(),
            answers: vec![(200, json_of("One page.", webhooks))],
            errors: vec![&[
                "unauthorized",
                "invalid_query",
                "invalid",
                "unavailable",
                "internal",
            ]],
            ..Draft::default()
        }
        .at("get", "/v1/webhooks", "webhooks"),
        Draft {
            summary: "What messages of this tenant's webhooks are signed with.",
            answers: vec![(200, json_of("The secret.", secret))],
            errors: vec![&["unauthorized", "unavailable", "internal"]],
            ..Draft::default()
        }
        .at("get", "/v1/webhooks/secret", "webhook_secret"),
        Draft {
            summary: "Whether the process lives: the age of the last turn of each of its loops.",
            answers: vec![
                (200, json_of("Every loop turns.", health.clone())),
                (
                    503,
                    json_of("A loop hangs: start the process anew.", health),
                ),
            ],
            ..Draft::default()
        }
        .open("get", "/healthz", "health"),
        Draft {
            summary: "Whether the process can work: database, NATS, stream of jobs, object store.",
            answers: vec![
                (200, json_of("It can.", readiness.clone())),
                (
                    503,
                    json_of("It cannot: send no requests to it.", readiness),
                ),
            ],
            ..Draft::default()
        }
        .open("get", "/readyz", "readiness"),
        Draft {
            summary: "What was counted, as Prometheus reads it.",
            answers: vec![(200, text("Prometheus text format."))],
            ..Draft::default()
        }
        .open("get", "/metrics", "metrics"),
        Draft {
            summary: "This document.",
            answers: vec![(200, json_of("OpenAPI 3.1.", json!({ "type": "object" })))],
            ..Draft::default()
        }
        .open("get", "/openapi.json", "openapi"),
    ]
}

/// An operation without its place.
#[derive(Clone, Default)]
pub(super) struct Draft {
    pub summary: &'static str,
    pub parameters: Vec<Value>,
    pub body: Option<Value>,
    /// Media type of the body; JSON unless named.
    pub media_type: Option<&'static str>,
    pub answers: Vec<(u16, Value)>,
    pub errors: Vec<&'static [&'static str]>,
    /// Schema of an error's body; that of the farm's own unless named.
    pub refusal: Option<&'static str>,
}

impl Draft {
    /// An operation that needs a key.
    pub(super) fn at(
        self,
        method: &'static str,
        path: &'static str,
        id: &'static str,
    ) -> Operation {
        let description = self.describe(path, id);
        Operation {
            path,
            method,
            description,
        }
    }

    /// An operation that everybody may call.
    pub(super) fn open(
        self,
        method: &'static str,
        path: &'static str,
        id: &'static str,
    ) -> Operation {
        let mut operation = self.at(method, path, id);
        operation.description["security"] = json!([]);
        operation
    }

    fn describe(mut self, path: &str, id: &str) -> Value {
        if path.contains("{id}") {
            let schema = json!({ "type": "string", "format": "uuid" });
            let parameter = json!({ "name": "id", "in": "path", "required": true, "description": "The request.", "schema": schema });
            self.parameters.insert(0, parameter);
        }
        if path.contains("{sha256}") {
            let schema = json!({ "type": "string", "pattern": "^[0-9a-f]{64}$" });
            let parameter = json!({ "name": "sha256", "in": "path", "required": true, "description": "SHA-256 of the file, as the trace names it.", "schema": schema });
            self.parameters.insert(1, parameter);
        }
        let mut responses: Map<String, Value> = Map::new();
        for (status, codes) in by_status(&self.errors) {
            let body = self.refusal.unwrap_or("ErrorBody");
            responses.insert(status.to_string(), refusal(&codes, body));
        }
        for (status, answer) in self.answers {
            responses.insert(status.to_string(), answer);
        }
        let mut description = json!({
            "operationId": id,
            "summary": self.summary,
            "parameters": self.parameters,
            "responses": responses,
        });
        if let Some(schema) = self.body {
            let media_type = self.media_type.unwrap_or("application/json");
            let content = json!({ media_type: { "schema": schema } });
            description["requestBody"] = json!({ "required": true, "content": content });
        }
        description
    }
}

fn by_status(errors: &[&[&'static str]]) -> Vec<(u16, Vec<&'static str>)> {
    let mut all: Vec<(u16, Vec<&'static str>)> = Vec::new();
    for code in errors.iter().copied().flatten().copied() {
        let (status, _) = meaning(code);
        match all.iter_mut().find(|(known, _)| *known == status) {
            Some((_, codes)) => codes.push(code),
            None => all.push((status, vec![code])),
        }
    }
    all
}

/// An error answer: the body of every error, with these codes only.
fn refusal(codes: &[&'static str], body: &str) -> Value {
    let meanings: Vec<String> = codes
        .iter()
        .map(|code| format!("`{code}`: {}", meaning(code).1))
        .collect();
    let only =
        json!({ "properties": { "error": { "properties": { "code": { "enum": codes } } } } });
    let body = json!({ "$ref": format!("#{}/{body}", super::SCHEMAS) });
    json_of(&meanings.join(" "), json!({ "allOf": [body, only] }))
}

pub(super) fn json_of(description: &str, schema: Value) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

pub(super) fn header(description: &str) -> Value {
    json!({ "description": description, "schema": { "type": "string" } })
}

pub(super) fn in_header(name: &str, description: &str) -> Value {
    json!({ "name": name, "in": "header", "required": false, "description": description, "schema": { "type": "string" } })
}

/// `base` with the fields of `more`.
pub(super) fn merged(mut base: Value, more: Value) -> Value {
    if let (Some(base), Value::Object(more)) = (base.as_object_mut(), more) {
        base.extend(more);
    }
    base
}
