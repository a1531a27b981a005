//! The list of things: our plain names, the names that Unicode has for their pictures, synonyms, and what is held out.

/// One line of `catalog.txt` or `later.txt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Our name.
    pub name: &'static str,
    /// Unicode's name.
    pub source: &'static str,
    /// Other names, the commonest first.
    pub synonyms: Vec<&'static str>,
    /// Never drawn in training and not shipped.
    pub held_out: bool,
    /// Whether captions say `a` before it.
    pub article: bool,
}

/// Every thing.
pub fn entries() -> Vec<Entry> {
    let mut entries = spoken_of();
    entries.extend(later());
    entries
}

/// The things that came after the planner was trained.
pub fn later() -> Vec<Entry> {
    include_str!("later.txt")
        .lines()
        .filter_map(entry)
        .collect()
}

/// The things that the planner's prompts and the suite speak of, which have not changed since the planner was trained.
pub fn spoken_of() -> Vec<Entry> {
    include_str!("catalog.txt")
        .lines()
        .filter_map(entry)
        .collect()
}

fn entry(line: &'static str) -> Option<Entry> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let marks = line.len() - line.trim_start_matches(['*', '~']).len();
    let (marks, rest) = line.split_at(marks);
    let (names, synonyms) = rest.split_once(" : ").unwrap_or((rest, ""));
    let (name, source) = names.split_once(" = ").unwrap_or((names, names));
    Some(Entry {
        name: name.trim(),
        source: source.trim(),
        synonyms: synonyms
            .split(',')
            .map(str::trim)
            .filter(|synonym| !synonym.is_empty() && *synonym != name.trim())
            .collect(),
        held_out: marks.contains('*'),
        article: !marks.contains('~'),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_no_synonym_is_another_things_name() {
        let entries = entries();
        let mut names = HashSet::new();
        for entry in &entries {
            assert!(names.insert(entry.name), "{} stands twice", entry.name);
        }
        let mut synonyms = HashSet::new();
        for entry in &entries {
            for synonym in &entry.synonyms {
                assert!(!names.contains(synonym), "{synonym} is a name");
                assert!(synonyms.insert(*synonym), "{synonym} means two things");
            }
        }
        let held_out = entries.iter().filter(|entry| entry.held_out).count();
        assert!(entries.len() >= 800 && held_out * 10 >= entries.len());
        assert_eq!(entries[..spoken_of().len()], spoken_of());
    }

    #[test]
    fn marks_and_both_names_are_read() {
        let entry = entry("*~theater masks = performing arts : mask, drama").expect("a line");
        assert_eq!(
            (entry.name, entry.source),
            ("theater masks", "performing arts")
        );
        assert_eq!(entry.synonyms, ["mask", "drama"]);
        assert!(entry.held_out && !entry.article);
    }
}
