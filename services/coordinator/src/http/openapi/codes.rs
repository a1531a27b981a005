//! Every error code of the API, with its status and what it means. An operation lists those that it may answer with.

/// Code, status, meaning.
const CODES: &[(&str, u16, &str)] = &[
    (
        "invalid_id",
        400,
        "The id in the path is not one of a request.",
    ),
    (
        "invalid_json",
        400,
        "The body is not JSON of the described shape.",
    ),
    (
        "invalid_query",
        400,
        "The query holds what is not described.",
    ),
    ("unreadable", 400, "The body did not arrive whole."),
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
    ("no_image", 404, "The request has no picture."),
    (
        "not_found",
        404,
        "There is no such request of this key's tenant.",
    ),
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
];

/// Status and meaning of a code. One that is not in the table is a mistake in the table of operations, found by any test of the document.
pub fn meaning(code: &str) -> (u16, &'static str) {
    CODES
        .iter()
        .find(|(known, ..)| *known == code)
        .map(|(_, status, meaning)| (*status, *meaning))
        .unwrap_or_else(|| panic!("error code {code:?} is not in the table"))
}
