//! From what came to a request: every field by itself, so that an error names the one that it is about.

use std::{collections::BTreeSet, sync::LazyLock};

use atelier_proto::openai::ImageRequest;
use serde_json::{Map, Value};

use super::error::Refusal;

/// Names of the fields of a request, from its schema: what is described is what is read.
static KNOWN: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let schema = schemars::schema_for!(ImageRequest).to_value();
    let fields = schema["properties"].as_object();
    fields.into_iter().flat_map(Map::keys).cloned().collect()
});

/// Most names that an answer repeats, and most characters of each.
const MOST_NAMED: usize = 32;
const LONGEST_NAME: usize = 64;

/// Names of fields that changed nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ignored(Vec<String>);

impl Ignored {
    /// Notes a field.
    pub fn add(&mut self, name: &str) {
        let plain = |c: char| c.is_ascii_graphic() && c != ',';
        let name: String = name
            .chars()
            .take(LONGEST_NAME)
            .map(|c| if plain(c) { c } else { '?' })
            .collect();
        // A list of nothing but an empty name would be an empty header.
        let name = if name.is_empty() {
            "?".to_owned()
        } else {
            name
        };
        if self.0.len() < MOST_NAMED && !self.0.contains(&name) {
            self.0.push(name);
        }
    }

    /// All of them as a header's value; none when there are none.
    pub fn listed(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.join(", "))
    }
}

/// Reads a JSON body.
pub fn of_json(body: &[u8]) -> Result<(ImageRequest, Ignored), Refusal> {
    let fields: Map<String, Value> = serde_json::from_slice(body).map_err(|error| {
        Refusal::bad(
            "invalid_json",
            format!("the body is not a JSON object: {error}"),
        )
    })?;
    of_map(fields)
}

/// Reads the texts of a form: each is what its field takes, a text or something written as JSON.
pub fn of_form(texts: Vec<(String, String)>) -> Result<(ImageRequest, Ignored), Refusal> {
    let mut fields = Map::new();
    for (name, text) in texts {
        // `svg[model]` is a part of `svg`.
        let field = name.split('[').next().unwrap_or_default().to_owned();
        let value = Value::String(text);
        let as_json = || {
            value
                .as_str()
                .and_then(|text| serde_json::from_str(text).ok())
        };
        let value = match read_one(&field, &value) {
            Ok(_) => value,
            Err(_) => as_json()
                .filter(|read| read_one(&field, read).is_ok())
                .unwrap_or(value),
        };
        if fields.insert(field.clone(), value).is_some()
            && KNOWN.contains(&field)
            && !name.contains('[')
        {
            return Err(Refusal::field(field, "comes twice"));
        }
    }
    of_map(fields)
}

fn of_map(fields: Map<String, Value>) -> Result<(ImageRequest, Ignored), Refusal> {
    let mut ignored = Ignored::default();
    let mut known = Map::new();
    for (name, value) in fields {
        if KNOWN.contains(&name) {
            read_one(&name, &value).map_err(|error| Refusal::field(&name, error.to_string()))?;
            known.insert(name, value);
        } else {
            ignored.add(&name);
        }
    }
    let request: ImageRequest = serde_json::from_value(Value::Object(known))
        .map_err(|error| Refusal::bad("invalid_json", error.to_string()))?;
    for (name, given) in [
        ("moderation", request.moderation.is_some()),
        ("style", request.style.is_some()),
    ] {
        if given {
            ignored.add(name);
        }
    }
    Ok((request, ignored))
}

/// A request with this field only.
fn read_one(name: &str, value: &Value) -> Result<ImageRequest, serde_json::Error> {
    let alone = Map::from_iter([(name.to_owned(), value.clone())]);
    serde_json::from_value(Value::Object(alone))
}

#[cfg(test)]
mod tests {
    use atelier_proto::openai::Quality;

    use super::*;

    fn refused(body: &str) -> (Option<String>, Option<String>) {
        let detail = of_json(body.as_bytes()).unwrap_err().detail();
        (detail.param, detail.code)
    }

    #[test]
    fn an_error_names_its_field() {
        for (body, field) in [
            (r#"{"prompt": 1}"#, "prompt"),
            (r#"{"prompt": "x", "n": "many"}"#, "n"),
            (r#"{"prompt": "x", "n": -1}"#, "n"),
            (r#"{"prompt": "x", "quality": "best"}"#, "quality"),
            (r#"{"prompt": "x", "seed": 1.5}"#, "seed"),
            (r#"{"prompt": "x", "svg": 3}"#, "svg"),
        ] {
            let named = (Some(field.to_owned()), Some("invalid_value".to_owned()));
            assert_eq!(refused(body), named, "{body}");
        }
        for body in ["", "[]", "7", r#"{"prompt": "x""#] {
            assert_eq!(refused(body), (None, Some("invalid_json".to_owned())));
        }
    }

    #[test]
    fn unknown_fields_are_named_and_nulls_are_nothing() {
        let body = r#"{"prompt": "x", "n": null, "sparkle": [1], "style": "vivid", "é,": 1}"#;
        let (request, ignored) = of_json(body.as_bytes()).unwrap();
        assert_eq!(request.prompt.as_deref(), Some("x"));
        assert_eq!(request.n, None);
        assert_eq!(ignored.listed().as_deref(), Some("sparkle, ??, style"));
        assert_eq!(Ignored::default().listed(), None);
        let many: Map<String, Value> = (0..100)
            .map(|i| (format!("{i}{}", "x".repeat(500)), Value::Null))
            .collect();
        let (_, ignored) = of_map(many).unwrap();
        assert!(ignored.listed().unwrap().len() < MOST_NAMED * (LONGEST_NAME + 2));
    }

    #[test]
    fn a_field_without_a_name_is_told_of() {
        let (_, ignored) = of_json(br#"{"prompt": "x", "": 1}"#).unwrap();
        assert_eq!(ignored.listed().as_deref(), Some("?"));
        let texts = [("prompt", "x"), ("[part]", "1")];
        let texts = texts.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let (_, ignored) = of_form(texts.to_vec()).unwrap();
        assert_eq!(ignored.listed().as_deref(), Some("?"));
    }

    #[test]
    fn texts_of_a_form_become_what_their_fields_are() {
        let texts = [
            ("prompt", "7"),
            ("n", "2"),
            ("stream", "true"),
            ("quality", "low"),
            ("svg[model]", "x"),
        ];
        let texts = texts.map(|(name, text)| (name.to_owned(), text.to_owned()));
        let (request, _) = of_form(texts[..4].to_vec()).unwrap();
        assert_eq!(request.prompt.as_deref(), Some("7"));
        assert_eq!((request.n, request.stream), (Some(2), Some(true)));
        assert_eq!(request.quality, Some(Quality::Low));
        let detail = of_form(texts.to_vec()).unwrap_err().detail();
        assert_eq!(detail.param.as_deref(), Some("svg"));
        let twice = vec![texts[1].clone(), texts[1].clone()];
        assert_eq!(
            of_form(twice).unwrap_err().detail().param.as_deref(),
            Some("n")
        );
        let wrong = vec![("n".to_owned(), "two".to_owned())];
        assert_eq!(
            of_form(wrong).unwrap_err().detail().param.as_deref(),
            Some("n")
        );
    }
}
