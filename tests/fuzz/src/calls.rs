//! What callers send to a coordinator: bodies, forms, cookies, links, queries and headers.

use atelier_coordinator::reading::{self, Asked, Bad, Claim, Edit, Session, Wanted};
use atelier_pictures::Format;
use atelier_proto::{
    Sha256, TenantId,
    http::{MAX_PROMPT_BYTES, MAX_REFERENCE_BYTES, MAX_REFERENCES},
    openai::{MAX_PARTIAL_PICTURES, MAX_PICTURES},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures::executor::block_on;
use image::ImageFormat;
use uuid::Uuid;

use crate::{
    pictures::file,
    target::target,
    texts::{json, samples},
};

/// The farm's model.
const MODEL: &str = "mini";
/// Longest side of a picture in pixels, the shortest, and what sides are multiples of.
const SIDES: (std::ops::RangeInclusive<u32>, u32) = (64..=2_048, 16);

/// What is taken of a call can be carried out, and told in a header.
fn check(asked: &Asked) {
    let wish = &asked.wish;
    assert!((1..=MAX_PICTURES).contains(&wish.n) && (1..=4).contains(&wish.max_rounds));
    let sides = wish.size.iter().flat_map(|size| [size.width, size.height]);
    for side in sides {
        assert!(SIDES.0.contains(&side) && side % SIDES.1 == 0);
    }
    if let Some(partial) = wish.reply.stream {
        assert!(partial <= MAX_PARTIAL_PICTURES && wish.n == 1);
    }
    if let Format::Jpeg { quality } = wish.reply.format {
        assert!((1..=100).contains(&quality));
    }
    if let Some(ignored) = &asked.ignored {
        assert!(!ignored.is_empty() && ignored.len() < 4_096);
        assert!(ignored.chars().all(|c| c.is_ascii_graphic() || c == ' '));
    }
}

target!(
    generation,
    samples(&[
        r#"{"prompt": "a cat"}"#,
        r#"{"prompt": "a cat", "model": "mini", "n": 2, "size": "64x128", "quality": "max", "output_format": "jpeg", "output_compression": 50,
            "background": "opaque", "response_format": "url", "user": "me", "style": "vivid", "moderation": "low", "sparkle": [1],
            "complexity": "high", "seed": 7, "think": "fast", "think_tokens": 9, "max_rounds": 2, "priority": "batch", "steps": 4}"#,
        r#"{"prompt": "a cat", "stream": true, "partial_images": 3, "size": "auto", "n": null}"#,
    ]),
    |body: &[u8]| {
        let asked = match reading::generation(body, MODEL) {
            Ok(asked) => asked,
            Err(refusal) => {
                assert!(!refusal.message.is_empty() && refusal.code.is_some());
                return None;
            }
        };
        check(&asked);
        let written = serde_json::to_vec(&asked.request).expect("what was read can be written");
        let again = reading::generation(&written, MODEL).expect("what was read is read again");
        assert_eq!((again.request, again.wish), (asked.request, asked.wish));
        Some(())
    }
);

/// A field of a form: its name, the name of its file where it is one, and what is in it.
type Field<'a> = (&'a str, Option<&'a str>, &'a [u8]);

/// A form as a client writes it.
fn body(boundary: &str, fields: &[Field]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, file, bytes) in fields {
        let file = file.map_or(String::new(), |file| format!("; filename=\"{file}\""));
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n"
        );
        body.extend(head.as_bytes());
        body.extend(*bytes);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{boundary}--\r\n").as_bytes());
    body
}

/// A sample: the content type in a line of its own, then the form.
fn form(fields: &[Field]) -> Vec<u8> {
    let mut sample = b"multipart/form-data; boundary=x7\n".to_vec();
    sample.extend(body("x7", fields));
    sample
}

/// Content type and body of an input.
fn parts(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = input.iter().position(|byte| *byte == b'\n')?;
    Some((&input[..end], &input[end + 1..]))
}

/// The same form with another boundary; none where a name cannot be written plainly.
fn again(edit: &Edit, boundary: &str) -> Option<Edit> {
    let images = edit.form.images.iter().map(|file| ("image", file));
    let files = images.chain(edit.form.mask.iter().map(|file| ("mask", file)));
    let mut fields: Vec<Field> = files
        .map(|(name, file)| (name, Some(file.name.as_str()), &file.bytes[..]))
        .collect();
    let texts = edit.form.texts.iter();
    fields.extend(texts.map(|(name, text)| (name.as_str(), None, text.as_bytes())));
    let plain = |text: &str| {
        text.chars()
            .all(|c| c.is_ascii_alphanumeric() || "_[].-".contains(c))
    };
    let names = fields.iter();
    let mut names = names.flat_map(|(name, file, _)| [Some(*name), *file]);
    if !names.all(|name| name.is_none_or(plain)) {
        return None;
    }
    let content_type = format!("multipart/form-data; boundary={boundary}");
    let body = body(boundary, &fields);
    Some(block_on(reading::edit(content_type.as_bytes(), &body, MODEL)).expect("it is read again"))
}

target!(
    edit_form,
    {
        let png = file(ImageFormat::Png);
        let jpeg = file(ImageFormat::Jpeg);
        vec![
            form(&[("image", Some("cat.png"), &png), ("prompt", None, b"a cat")]),
            form(&[
                ("image[]", Some("a"), &png),
                ("image[]", Some("old mug.jpg"), &jpeg),
                ("prompt", None, b"7"),
                ("n", None, b"2"),
                ("size", None, b"64x80"),
                ("quality", None, b"low"),
                ("input_fidelity", None, b"high"),
                ("sparkle", None, b"x"),
            ]),
            form(&[
                ("prompt", None, b"a cat"),
                ("image", Some("a.png"), &png),
                ("mask", Some("m.png"), &png),
                ("stream", None, b"true"),
            ]),
        ]
    },
    |input: &[u8]| {
        let (content_type, body) = parts(input)?;
        let edit = match block_on(reading::edit(content_type, body, MODEL)) {
            Ok(edit) => edit,
            Err(refusal) => {
                assert!(!refusal.message.is_empty() && refusal.code.is_some());
                return None;
            }
        };
        check(&edit.asked);
        assert!((1..=MAX_REFERENCES).contains(&edit.form.images.len()));
        let files = edit.form.images.iter().chain(&edit.form.mask);
        for file in files {
            assert!(file.bytes.len() <= MAX_REFERENCE_BYTES);
        }
        for (_, text) in &edit.form.texts {
            assert!(text.len() <= 4 * MAX_PROMPT_BYTES);
        }
        let made = &edit.retouch;
        assert!(SIDES.0.contains(&made.size.width) && SIDES.0.contains(&made.size.height));
        assert_eq!(made.sizes.len(), edit.form.images.len());
        // Whether the prompt can be drawn is found out by those who plan.
        if (1..=MAX_PROMPT_BYTES).contains(&edit.asked.wish.prompt.trim().len()) {
            assert_eq!(made.plan.validate(), Ok(()));
        }
        if let (Some(one), Some(other)) = (again(&edit, "q-9"), again(&edit, "another")) {
            assert_eq!(one.form.texts, edit.form.texts);
            assert_eq!(one.asked.wish, edit.asked.wish);
            // The boundary is no part of what was asked for.
            assert_eq!(one.sha256, other.sha256);
        }
        Some(())
    }
);
target!(
    page_form,
    vec![
        form(&[("prompt", None, b"a cat")]),
        form(&[
            ("once", None, b"00ff"),
            ("prompt", None, b" a cat on a mat "),
            ("think", None, b"full"),
            ("pictures", None, b"3"),
            ("seed", None, b"18446744073709551615"),
            ("size", None, "640 \u{d7} 480".as_bytes()),
            ("steps", None, b"4"),
            ("rounds", None, b"2"),
            ("think_tokens", None, b"100"),
            ("name", None, b"cat"),
            ("file", Some("cat.png"), b"bytes"),
            ("name", None, b""),
            ("file", Some(""), b""),
        ]),
    ],
    |input: &[u8]| {
        let (content_type, body) = parts(input)?;
        let (asked, pictures) = block_on(reading::page_form(content_type, body))?;
        assert!((1..=8).contains(&pictures));
        assert!(asked.prompt.len() <= MAX_PROMPT_BYTES && asked.prompt.trim() == asked.prompt);
        assert!(asked.references.len() <= MAX_REFERENCES);
        for reference in &asked.references {
            let bytes = BASE64_STANDARD.decode(&reference.data);
            assert!(!reference.name.is_empty() && bytes.is_ok_and(|bytes| !bytes.is_empty()));
        }
        let written = serde_json::to_vec(&asked).expect("a request can be written");
        assert_eq!(json(&written), Some(asked));
        Some(())
    }
);

const SECRET: [u8; 32] = [7; 32];

fn session() -> Session {
    Session {
        tenant: TenantId::at(1, [1; 10]),
        key: Uuid::from_bytes([9; 16]),
        until_s: 1_000,
    }
}

target!(
    session_cookie,
    {
        let cookies = reading::cookies(&SECRET, session());
        samples(&[&cookies, &format!("a=b; {cookies}; c=d")])
    },
    |cookies: &[u8]| {
        let read = reading::session(&SECRET, cookies, 999)?;
        // Only one was ever signed.
        assert_eq!(read, session());
        assert_eq!(reading::session(&SECRET, cookies, read.until_s), None);
        assert_eq!(reading::session(&[8; 32], cookies, 999), None);
        Some(())
    }
);

target!(
    login_form,
    samples(&[
        "application/x-www-form-urlencoded\nkey=atl_1&next=%2Frequests%2F01890a5d-ac96-774b-bcce-b302099a8057",
        "application/x-www-form-urlencoded\nkey=",
        "application/x-www-form-urlencoded\n",
    ]),
    |input: &[u8]| {
        let (content_type, body) = parts(input)?;
        let (_, place) = block_on(reading::login(content_type, body))?;
        // Nobody is led away from the farm, nor into another header.
        let rest = place.strip_prefix('/').expect("a place of this page");
        assert!(!rest.starts_with(['/', '\\']) && place.is_ascii());
        assert!(!place.contains(|c: char| c.is_control() || c == ':'));
        Some(())
    }
);

target!(
    range,
    samples(&[
        "bytes=0-0",
        "bytes=2-",
        "bytes=-3",
        "Bytes = 0-99999999999999999999999"
    ]),
    |header: &[u8]| {
        let header = std::str::from_utf8(header).ok()?;
        for length in [1, 10, u64::MAX] {
            if let Wanted::Part(part) = reading::range(header, length) {
                assert!(part.start < part.end && part.end <= length);
            }
        }
        Some(())
    }
);

/// What the link of the samples says.
fn claim() -> Claim {
    Claim {
        sha256: Sha256([7; 32]),
        bytes: 12_345,
        format: Format::Jpeg { quality: 80 },
        until: 1_000,
    }
}

target!(
    link,
    samples(&[&reading::link_to(&claim(), &SECRET)]),
    |token: &[u8]| {
        let token = std::str::from_utf8(token).ok()?;
        assert_eq!(reading::link(token, &[8; 32], 999), Err(Bad::Forged));
        // Only one was ever signed.
        match reading::link(token, &SECRET, 999) {
            Ok(read) => assert_eq!(read, claim()),
            Err(bad) => {
                assert_eq!(bad, Bad::Forged);
                return None;
            }
        }
        assert_eq!(reading::link(token, &SECRET, 1_000), Err(Bad::Over));
        Some(())
    }
);

target!(
    list_query,
    samples(&[
        "",
        "limit=500&state=succeeded&before=01890a5d-ac96-774b-bcce-b302099a8057",
        "state=active",
    ]),
    |query: &[u8]| {
        let query = std::str::from_utf8(query).ok()?;
        let (_, limit) = reading::list(query)?;
        assert!((1..=500).contains(&limit));
        Some(())
    }
);
