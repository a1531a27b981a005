//! JSON values as YAML 1.2: blocks for what holds others, JSON itself for the rest, which YAML reads as well.

use serde_json::Value;

use super::printable;

/// The value as one document.
pub fn document(value: &Value) -> String {
    let mut text = String::new();
    block(&mut text, value, 0);
    text.trim_start().to_owned()
}

/// Writes what stands after a key or a dash, the end of the line included.
fn block(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            text.push('\n');
            for (name, value) in fields {
                text.push_str(&"  ".repeat(depth));
                text.push_str(&key(name));
                text.push(':');
                block(text, value, depth + 1);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            for item in items {
                text.push_str(&"  ".repeat(depth));
                text.push('-');
                item_block(text, item, depth + 1);
            }
        }
        scalar => {
            text.push(' ');
            text.push_str(&printable(&scalar.to_string()));
            text.push('\n');
        }
    }
}

/// The first line of an item stands beside its dash.
fn item_block(text: &mut String, item: &Value, depth: usize) {
    let mut inner = String::new();
    block(&mut inner, item, depth);
    match inner.strip_prefix('\n') {
        Some(lines) => {
            text.push(' ');
            text.push_str(lines.trim_start_matches(' '));
        }
        None => text.push_str(&inner),
    }
}

/// Words need no quotes, but for those that YAML takes for something else.
fn key(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic());
    let is_word = begins && name.chars().all(plain);
    let other = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    if is_word && !other.contains(&name.to_ascii_lowercase().as_str()) {
        name.to_owned()
    } else {
        printable(&Value::from(name).to_string())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn blocks_and_scalars() {
        let value = json!({
            "id": "a", "count": 1, "none": null, "empty": [], "on": true,
            "list": [{ "a": 1, "b": [1, [2, 3]] }, "x: y\n# z", {}],
            "of": { "it": { "deep": -0.5 } },
        });
        let expected = "\
empty: []
id: \"a\"
list:
  - a: 1
    b:
      - 1
      - - 2
        - 3
  - \"x: y\\n# z\"
  - {}
count: 1
none: null
of:
  it:
    deep: -0.5
\"on\": true
";
        let mut lines: Vec<String> = document(&value).lines().map(str::to_owned).collect();
        let mut wanted: Vec<String> = expected.lines().map(str::to_owned).collect();
        // Whether fields keep their order is a feature of serde_json that others may switch on.
        lines.sort();
        wanted.sort();
        assert_eq!(lines, wanted);
        assert_eq!(document(&json!([1, 2])), "- 1\n- 2\n");
        assert_eq!(document(&json!("a")), "\"a\"\n");
    }
}
