//! Pictures that users send: decoded once, so that nothing but a picture of bounded size ever reaches a worker.

use atelier_pictures::{Bounds, Format, format_of, read, write};
use atelier_proto::http::MAX_REFERENCE_BYTES;
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;

/// Longest side of a picture, in pixels.
pub const MAX_SIDE: u32 = 4_096;

const BOUNDS: Bounds = Bounds::of(MAX_SIDE, MAX_REFERENCE_BYTES);

/// Why something is no picture for us; sentences for people.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The text is not base64.
    #[error("is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// The file is too long.
    #[error("has {0} bytes, at most {MAX_REFERENCE_BYTES} are allowed")]
    TooLong(usize),
    /// The file is some other one, damaged, or has too many pixels.
    #[error(transparent)]
    Picture(#[from] atelier_pictures::PictureError),
    /// It cannot be written anew.
    #[error(transparent)]
    Write(#[from] atelier_pictures::WriteError),
}

/// Turns the base64 text of a picture file into a PNG file. Takes processor time; call it where blocking is allowed.
pub fn to_png(base64: &str) -> Result<Bytes, PictureError> {
    if base64.len() / 4 * 3 > MAX_REFERENCE_BYTES + 4 {
        return Err(PictureError::TooLong(base64.len() / 4 * 3));
    }
    let file = BASE64_STANDARD.decode(base64)?;
    let picture = read(&file, &BOUNDS)?;
    if format_of(&file) == Some(image::ImageFormat::Png) {
        return Ok(file.into());
    }
    Ok(write(&picture, Format::Png, &[])?.into())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::ImageFormat;
    use proptest::prelude::*;

    use super::*;

    fn file(format: ImageFormat, width: u32) -> String {
        let picture = image::DynamicImage::new_rgb8(width, 4);
        let mut bytes = Vec::new();
        picture
            .write_to(&mut Cursor::new(&mut bytes), format)
            .unwrap();
        BASE64_STANDARD.encode(bytes)
    }

    #[test]
    fn pictures_become_png() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
            let png = to_png(&file(format, 6)).unwrap();
            let picture = image::load_from_memory_with_format(&png, ImageFormat::Png).unwrap();
            assert_eq!((picture.width(), picture.height()), (6, 4));
        }
    }

    #[test]
    fn too_many_pixels_are_refused() {
        let error = to_png(&file(ImageFormat::Png, MAX_SIDE + 1)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "has {} x 4 pixels, at most {MAX_SIDE} on a side are read",
                MAX_SIDE + 1
            )
        );
        let error = to_png(&"A".repeat(MAX_REFERENCE_BYTES * 2)).unwrap_err();
        assert!(matches!(error, PictureError::TooLong(_)), "{error}");
    }

    proptest! {
        #[test]
        fn rubbish_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0..60_usize) {
            prop_assert!(to_png(&BASE64_STANDARD.encode(&bytes)).is_err());
            let whole = BASE64_STANDARD.decode(file(ImageFormat::Png, 6)).unwrap();
            let _ = to_png(&BASE64_STANDARD.encode(&whole[..cut.min(whole.len())]));
        }
    }
}
