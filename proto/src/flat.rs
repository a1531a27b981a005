//! Enums whose variants' fields stand side by side in a message. What serde makes of a tagged enum keeps each field as a tree until the tag is known, which
//! may be the last of them; a struct of all fields, each optional, is read at once.

/// A field that the variant cannot do without.
pub fn there<T>(field: Option<T>, name: &str) -> Result<T, String> {
    field.ok_or_else(|| format!("missing field `{name}`"))
}
