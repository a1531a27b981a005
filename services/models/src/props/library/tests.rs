use proptest::prelude::*;

use super::*;

fn prop(name: &str, synonyms: &[&str]) -> Prop {
    Prop {
        name: name.into(),
        synonyms: synonyms.iter().map(|word| (*word).into()).collect(),
        file: "a.webp".into(),
        article: true,
    }
}

fn library() -> PropLibrary {
    PropLibrary::of(
        PathBuf::new(),
        vec![
            prop("cat", &["kitty", "kitten"]),
            prop("cup of coffee", &["coffee", "mug"]),
            prop("wolf", &[]),
            prop("black cat", &[]),
            prop("fire truck", &["fire engine"]),
            prop("Earth", &["globe"]),
            prop("mouse", &[]),
            prop("glasses", &[]),
        ],
    )
}

#[test]
fn nouns_find_things_by_their_words() {
    let library = library();
    let found = |noun: &str| library.find(noun).map(|prop| prop.name.as_str());
    for (noun, name) in [
        ("cat", "cat"),
        ("Cats", "cat"),
        ("kitties", "cat"),
        ("a black cat", "black cat"),
        ("grumpy old cat", "cat"),
        ("cat in a spacesuit", "cat"),
        ("coffee cup of coffee", "cup of coffee"),
        ("steaming mug", "cup of coffee"),
        ("wolves", "wolf"),
        ("mice", "mouse"),
        ("the earth", "Earth"),
        ("fire engines", "fire truck"),
        ("glasses", "glasses"),
        ("bowl of coffee", "cup of coffee"),
    ] {
        assert_eq!(found(noun), Some(name), "{noun}");
    }
    assert_eq!(found("catastrophe"), None);
    assert_eq!(found(""), None);
}

#[test]
fn paths_that_leave_the_folder_are_refused() {
    for file in [
        "../x.webp",
        "/etc/passwd",
        "a/b.png",
        "x.gif",
        ".webp",
        "a.webp\u{0}",
    ] {
        let index = serde_json::to_vec(&[Prop {
            file: file.into(),
            ..prop("cat", &[])
        }])
        .expect("serialises");
        assert!(
            matches!(parse_index(&index), Err(PropError::Index(_))),
            "{file}"
        );
    }
}

#[test]
fn a_name_that_stands_twice_is_refused() {
    let index = serde_json::to_vec(&[prop("cat", &[]), prop("Cat", &[])]).expect("serialises");
    assert!(matches!(parse_index(&index), Err(PropError::Index(_))));
}

#[test]
fn the_shipped_library_opens_and_every_picture_decodes() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/models/atelier-mini/props");
    let library = PropLibrary::open(&dir).expect("the shipped props open");
    assert!(library.props().len() >= 700);
    for prop in library.props() {
        let picture = library.picture(prop).expect("decodes");
        assert!(
            picture.pixels().any(|pixel| pixel[3] > 200),
            "{} is invisible",
            prop.name
        );
    }
    for (noun, name) in [
        ("kitties", "cat"),
        ("spaceship", "rocket"),
        ("cup of tea", "cup of coffee"),
        ("radios", "radio"),
        ("full moon", "moon"),
        ("astronauts", "astronaut"),
    ] {
        assert_eq!(
            library.find(noun).map(|prop| prop.name.as_str()),
            Some(name)
        );
    }
}

proptest! {
    #[test]
    fn no_bytes_break_the_index(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse_index(&bytes);
    }

    #[test]
    fn whatever_is_accepted_is_within_bounds(name in ".{0,80}", file in ".{0,80}", synonym in ".{0,80}") {
        let index = serde_json::to_vec(&[Prop { name, synonyms: vec![synonym], file, article: true }]).expect("serialises");
        if let Ok(props) = parse_index(&index) {
            prop_assert!(props[0].name.chars().count() <= MAX_NAME);
            prop_assert!(!props[0].file.contains(['/', '\\']));
        }
    }

    #[test]
    fn no_bytes_break_the_decoder(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode_bounded(&bytes);
    }

    #[test]
    fn no_noun_breaks_the_search(noun in ".{0,200}") {
        let _ = library().find(&noun);
    }
}
