//! Every error code of the API, with its status and what it means. An operation lists those that it may answer with.

/// Code, status, meaning.
const CODES: &[(&str, u16, &str)] = &[
    (
        "invalid_id",
        400,
        "The id in the path is not one of a request, or the digest is none.",
    ),
    (
        "invalid_json",
        400,
        "The body is not JSON of the described shape.",
    ),
    ("invalid_form", 400, "The body is not a form as described."),
    (
        "invalid_query",
        400,
        "The query holds what is not described.",
    ),
    ("unreadable", 400, "The body did not arrive whole."),
    (
        "invalid_value",
        400,
        "A field cannot be honoured; `param` names it.",
    ),
    (
        "unauthorized",
        401,
        "There is no valid API key in `Authorization: Bearer KEY`.",
    ),
    (
        "cross_site",
        403,
        "The call came with the cookie of the farm's page, from another site.",
    ),
    (
        "invalid_api_key",
        401,
        "There is no valid API key in `Authorization: Bearer KEY`.",
    ),
    (
        "bad_link",
        403,
        "The link is not one of this farm, or has ended.",
    ),
    ("no_image", 404, "The request has no picture."),
    (
        "not_found",
        404,
        "There is no such request of this key's tenant.",
    ),
    ("model_not_found", 404, "The farm has another model."),
    (
        "method_not_allowed",
        405,
        "The path does not take this method.",
    ),
    (
        "idempotency_conflict",
        409,
        "The idempotency key was used with another body.",
    ),
    ("canceled", 409, "Somebody canceled a request of this call."),
    ("not_finished", 409, "The request is still being worked on."),
    (
        "not_retryable",
        409,
        "Only a request that failed or was canceled can be tried again.",
    ),
    ("too_large", 413, "The body is too long."),
    (
        "unsupported_media_type",
        415,
        "The body is not announced as JSON.",
    ),
    (
        "range_not_satisfiable",
        416,
        "The file has none of the wanted bytes.",
    ),
    ("invalid", 422, "A field breaks a rule; `field` names it."),
    (
        "queue_full",
        429,
        "Too many requests of the tenant wait; `Retry-After` says when to come again.",
    ),
    (
        "rate_limit_exceeded",
        429,
        "Too many requests of the tenant wait; `Retry-After` says when to come again.",
    ),
    (
        "generation_failed",
        500,
        "The farm tried and could not draw it.",
    ),
    (
        "damaged",
        500,
        "The file in the object store is missing, or is not the one that was stored.",
    ),
    ("internal", 500, "Something went wrong inside."),
    (
        "unavailable",
        503,
        "Database or object store do not answer: try again.",
    ),
    (
        "timeout",
        504,
        "There was no picture in the time that a call may wait; its requests were canceled, unless it has an idempotency key to come again for them.",
    ),
];

/// Status and meaning of a code. One that is not in the table is a mistake in the table of operations, found by any test of the document.
pub fn meaning(code: &str) -> (u16, &'static str) {
    CODES
        .iter()
        .find(|(known, ..)| *known == code)
        .map(|(_, status, meaning)| (*status, *meaning))
        .unwrap_or_else(|| panic!("error code {code:?} is not in the table"))
}
