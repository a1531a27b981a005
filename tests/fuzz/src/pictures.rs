//! Picture files: what users send, and what workers read from the object store.

use std::io::Cursor;

use atelier_coordinator::pictures::{MAX_SIDE, to_png};
use atelier_pictures::{Format, MAX_TEXT, Origin, Parameters, Provenance, Text, texts, write};
use atelier_worker::inputs::read_picture;
use base64::{Engine, prelude::BASE64_STANDARD};
use image::{DynamicImage, ImageFormat, RgbaImage};

use crate::target::target;

/// A small picture with some colours and holes, as a file.
pub fn file(format: ImageFormat) -> Vec<u8> {
    let pixel =
        |x: u32, y: u32| image::Rgba([(40 * x) as u8, (60 * y) as u8, 7, (50 * x * y) as u8]);
    let picture = DynamicImage::from(RgbaImage::from_fn(6, 4, pixel));
    let picture = match format {
        ImageFormat::Jpeg => picture.to_rgb8().into(),
        _ => picture,
    };
    let mut bytes = Vec::new();
    picture
        .write_to(&mut Cursor::new(&mut bytes), format)
        .expect("a small picture can be written");
    bytes
}

/// Sends a file as a user does; what is taken is a PNG of bounded size that a worker can read.
fn upload(bytes: &[u8]) -> Option<()> {
    let png = to_png(&BASE64_STANDARD.encode(bytes)).ok()?;
    let picture = read_picture(&png).expect("what is taken can be read by workers");
    assert!(
        (1..=MAX_SIDE).contains(&picture.width()) && (1..=MAX_SIDE).contains(&picture.height())
    );
    Some(())
}

target!(uploaded_png, vec![file(ImageFormat::Png)], upload);
target!(uploaded_jpeg, vec![file(ImageFormat::Jpeg)], upload);
target!(uploaded_webp, vec![file(ImageFormat::WebP)], upload);
target!(
    uploaded_text,
    vec![BASE64_STANDARD.encode(file(ImageFormat::Png)).into_bytes()],
    |text: &[u8]| { to_png(&String::from_utf8_lossy(text)).ok() }
);
target!(
    stored_picture,
    vec![file(ImageFormat::Png)],
    |bytes: &[u8]| read_picture(bytes).ok()
);
target!(
    picture_texts,
    vec![
        write(
            &DynamicImage::new_rgb8(2, 2),
            Format::Png,
            &[
                Text::new("parameters", "a cat\nSteps: 4, Seed: 7, Size: 2x2"),
                Text::new("atelier", "{\"cat\": \"\u{732b}\"}"),
            ],
        )
        .expect("a small picture can be written")
    ],
    |bytes: &[u8]| {
        let texts = texts(bytes).ok()?;
        for text in &texts {
            assert!(text.text.len() <= MAX_TEXT);
            let read = Parameters::parse(&text.text);
            assert_eq!(Parameters::parse(&read.to_text().text), read);
            let _ = Provenance::parse(&text.text);
        }
        let _ = Origin::take_out(bytes);
        Some(())
    }
);
