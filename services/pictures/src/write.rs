//! Writing. The same pixels and texts give the same bytes.

use std::{borrow::Cow, io::Cursor};

use image::{DynamicImage, ImageEncoder, ImageError, codecs::jpeg::JpegEncoder};
use png::text_metadata::{ITXtChunk, TEXtChunk};

use crate::Text;

/// What to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Without loss, with texts.
    Png,
    /// With loss and without transparency.
    Jpeg {
        /// 1 (smallest) to 100 (best).
        quality: u8,
    },
    /// Without loss.
    WebP,
}

impl Format {
    /// Quality of a JPEG that nobody named one for.
    pub const QUALITY: u8 = 90;

    /// By the ending of a file's name, without the dot; none of others than png, jpg, jpeg and webp.
    pub fn of_ending(ending: &str) -> Option<Self> {
        match ending.to_ascii_lowercase().as_str() {
            "png" => Some(Self::Png),
            "jpg" | "jpeg" => Some(Self::Jpeg {
                quality: Self::QUALITY,
            }),
            "webp" => Some(Self::WebP),
            _ => None,
        }
    }
}

/// Why a picture was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The encoder of a JPEG or WebP.
    #[error("cannot encode the picture: {0}")]
    Image(#[from] ImageError),
    /// The encoder of a PNG.
    #[error("cannot encode the picture: {0}")]
    Png(#[from] png::EncodingError),
}

/// The picture as a file. Texts go into PNG only; a JPEG shows transparent pixels on white.
pub fn write(
    picture: &DynamicImage,
    format: Format,
    texts: &[Text],
) -> Result<Vec<u8>, WriteError> {
    let mut file = Vec::new();
    match format {
        Format::Png => write_png(picture, texts, &mut file)?,
        Format::Jpeg { quality } => {
            let flat = crate::on_white(picture);
            JpegEncoder::new_with_quality(&mut file, quality.clamp(1, 100)).write_image(
                flat.as_raw(),
                flat.width(),
                flat.height(),
                image::ExtendedColorType::Rgb8,
            )?;
        }
        Format::WebP => {
            let picture = match picture.color().has_alpha() {
                true => DynamicImage::from(picture.to_rgba8()),
                false => DynamicImage::from(picture.to_rgb8()),
            };
            picture.write_to(&mut Cursor::new(&mut file), image::ImageFormat::WebP)?;
        }
    }
    Ok(file)
}

/// A file for so many bytes of pixels gets room for all of them at once; a larger one grows.
const SMALL: usize = 1 << 16;
/// More than the bytes of a text's chunk beside the text.
const TEXT_AROUND: usize = 128;

fn write_png(
    picture: &DynamicImage,
    texts: &[Text],
    file: &mut Vec<u8>,
) -> Result<(), png::EncodingError> {
    let (color, pixels) = match picture {
        DynamicImage::ImageRgb8(rgb) => (png::ColorType::Rgb, Cow::from(rgb.as_raw())),
        other if other.color().has_alpha() => {
            (png::ColorType::Rgba, Cow::from(other.to_rgba8().into_raw()))
        }
        other => (png::ColorType::Rgb, Cow::from(other.to_rgb8().into_raw())),
    };
    let texts_take: usize = texts.iter().map(|text| text.text.len() + TEXT_AROUND).sum();
    file.reserve(pixels.len().min(SMALL) + texts_take);
    let mut encoder = png::Encoder::new(file, picture.width(), picture.height());
    encoder.set_color(color);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header()?;
    for Text { keyword, text } in texts {
        // Latin-1 where it suffices: every tool reads that.
        if is_plain(keyword, text) {
            let chunk = [keyword.as_bytes(), &[0], text.as_bytes()].concat();
            writer.write_chunk(png::chunk::tEXt, &chunk)?;
        } else if text.chars().all(|char| u32::from(char) < 256) {
            writer.write_text_chunk(&TEXtChunk::new(keyword.as_str(), text.as_str()))?;
        } else {
            writer.write_text_chunk(&ITXtChunk::new(keyword.as_str(), text.as_str()))?;
        }
    }
    writer.write_image_data(&pixels)?;
    writer.finish()
}

/// Whether a text is in its chunk as it is here, so that it need not go through letter by letter.
fn is_plain(keyword: &str, text: &str) -> bool {
    (1..80).contains(&keyword.len())
        && keyword.is_ascii()
        && text.is_ascii()
        && !text.contains('\0')
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage, Rgba, RgbaImage};

    use super::*;
    use crate::{Bounds, read};

    #[test]
    fn what_is_written_reads_the_same() {
        let pixel = |x: u32, y: u32| Rgb([(9 * x) as u8, (7 * y) as u8, 40]);
        let picture = DynamicImage::from(RgbImage::from_fn(20, 10, pixel));
        let bounds = Bounds::of(64, 1 << 20);
        for format in [Format::Png, Format::WebP] {
            let file = write(&picture, format, &[]).unwrap();
            assert_eq!(read(&file, &bounds).unwrap(), picture);
            assert_eq!(write(&picture, format, &[]).unwrap(), file);
        }
        let size = |quality| {
            let file = write(&picture, Format::Jpeg { quality }, &[]).unwrap();
            let again = read(&file, &bounds).unwrap();
            assert_eq!((again.width(), again.height()), (20, 10));
            file.len()
        };
        assert!(size(20) < size(95));
    }

    #[test]
    fn transparency_is_kept_where_the_format_has_it() {
        let picture = DynamicImage::from(RgbaImage::from_pixel(3, 3, Rgba([200, 0, 0, 0])));
        let bounds = Bounds::of(64, 1 << 20);
        for format in [Format::Png, Format::WebP] {
            let again = read(&write(&picture, format, &[]).unwrap(), &bounds).unwrap();
            assert_eq!(again.to_rgba8().get_pixel(1, 1).0[3], 0);
        }
        let file = write(&picture, Format::Jpeg { quality: 95 }, &[]).unwrap();
        let again = read(&file, &bounds).unwrap().to_rgb8();
        assert!(
            again
                .pixels()
                .all(|pixel| pixel.0.iter().all(|value| *value > 250))
        );
    }

    #[test]
    fn formats_go_by_the_ending() {
        assert_eq!(Format::of_ending("PNG"), Some(Format::Png));
        assert_eq!(Format::of_ending("jpeg"), Format::of_ending("jpg"));
        assert_eq!(Format::of_ending("gif"), None);
    }
}
