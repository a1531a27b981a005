//! The text chunks of a PNG (tEXt, zTXt and iTXt, <https://www.w3.org/TR/png-3/#11textinfo>), as far as they stand before its pixels, where
//! every tool that we know of writes them.

use std::io::Cursor;

use crate::PictureError;

/// Longest text that is read, in bytes.
pub const MAX_TEXT: usize = 1 << 20;
/// Most texts that are read.
const MAX_TEXTS: usize = 64;
/// Memory for all that stands before the pixels, in bytes.
const MAX_MEMORY: usize = 16 << 20;

/// One text with its keyword.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// What it is, 1 to 79 Latin-1 characters.
    pub keyword: String,
    /// Without NUL.
    pub text: String,
}

impl Text {
    /// A text; characters that a chunk cannot hold are replaced by spaces.
    pub fn new(keyword: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            keyword: keyword.into(),
            text: text.into().replace('\0', " "),
        }
    }
}

/// The texts of a PNG file, in the order of the kinds of their chunks. A text that is too long or damaged is left out.
pub fn texts(png: &[u8]) -> Result<Vec<Text>, PictureError> {
    if crate::format_of(png) != Some(image::ImageFormat::Png) {
        return Err(PictureError::Format);
    }
    let mut decoder =
        png::Decoder::new_with_limits(Cursor::new(png), png::Limits { bytes: MAX_MEMORY });
    decoder.set_ignore_iccp_chunk(true);
    let wrong = |error: png::DecodingError| {
        let format = image::error::ImageFormatHint::Exact(image::ImageFormat::Png);
        PictureError::Decode(image::ImageError::Decoding(
            image::error::DecodingError::new(format, error),
        ))
    };
    // Stops at the first pixels.
    let reader = decoder.read_info().map_err(wrong)?;
    let info = reader.info();
    let plain = info
        .uncompressed_latin1_text
        .iter()
        .map(|chunk| (&chunk.keyword, Some(chunk.text.clone())));
    let compressed = info.compressed_latin1_text.iter().map(|chunk| {
        let mut own = chunk.clone();
        let text = own.decompress_text_with_limit(MAX_TEXT);
        (&chunk.keyword, text.and_then(|()| own.get_text()).ok())
    });
    let unicode = info.utf8_text.iter().map(|chunk| {
        let mut own = chunk.clone();
        let text = own.decompress_text_with_limit(MAX_TEXT);
        (&chunk.keyword, text.and_then(|()| own.get_text()).ok())
    });
    let all = plain.chain(compressed).chain(unicode).take(MAX_TEXTS);
    Ok(all
        .filter_map(|(keyword, text)| Some(Text::new(keyword, text?)))
        .filter(|text| text.text.len() <= MAX_TEXT)
        .collect())
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, RgbImage};
    use proptest::prelude::*;

    use super::*;
    use crate::{Format, write};

    fn png(texts: &[Text]) -> Vec<u8> {
        write(&DynamicImage::from(RgbImage::new(3, 3)), Format::Png, texts).unwrap()
    }

    #[test]
    fn other_files_are_refused() {
        for file in [&b""[..], b"\x89PNG", b"GIF89a", b"\xFF\xD8\xFF\xE0 JFIF"] {
            assert!(texts(file).is_err());
        }
        assert_eq!(texts(&png(&[])).unwrap(), []);
    }

    #[test]
    fn compressed_texts_are_read_within_bounds() {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, 1, 1);
        encoder.set_color(png::ColorType::Rgb);
        encoder
            .add_ztxt_chunk("short".into(), "a cat".into())
            .unwrap();
        // Two megabytes that are two kilobytes in the file.
        encoder
            .add_ztxt_chunk("bomb".into(), "a".repeat(2 << 20))
            .unwrap();
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&[0; 3]).unwrap();
        writer.finish().unwrap();
        assert!(file.len() < 20_000);
        assert_eq!(texts(&file).unwrap(), [Text::new("short", "a cat")]);
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in "\\PC{0,60}(\n\\PC{0,20})?") {
            let written = [Text::new("parameters", text)];
            prop_assert_eq!(texts(&png(&written)).unwrap(), written);
        }

        #[test]
        fn no_damage_makes_reading_panic(at in any::<prop::sample::Index>(), value in any::<u8>()) {
            let mut file = png(&[Text::new("parameters", "eine Katze, \u{732b}"), Text::new("atelier", "{}")]);
            let index = at.index(file.len());
            file[index] = value;
            let _ = texts(&file);
        }
    }
}
