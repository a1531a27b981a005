//! Reading within bounds. What a file claims to be is checked before its pixels are decoded, so that a small file cannot fill the memory.

use std::{borrow::Cow, io::Cursor};

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

/// What a picture may be at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Longest side, in pixels.
    pub side: u32,
    /// Longest file, in bytes.
    pub file: usize,
    /// Most memory that decoding may take, in bytes.
    pub memory: u64,
}

impl Bounds {
    /// Bounds for sides of so many pixels: the memory is that of a square with 16 bits in each of four channels.
    pub const fn of(side: u32, file: usize) -> Self {
        Self {
            side,
            file,
            memory: side as u64 * side as u64 * 8,
        }
    }
}

/// Why a file is no picture for us; sentences for people.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The file is too long.
    #[error("has {found} bytes, at most {most} are read")]
    TooLong {
        /// Its length.
        found: usize,
        /// The bound.
        most: usize,
    },
    /// It is some other file.
    #[error("is not a PNG, JPEG or WebP picture")]
    Format,
    /// It claims more pixels than are read.
    #[error("has {width} x {height} pixels, at most {most} on a side are read")]
    TooLarge {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
        /// The bound.
        most: u32,
    },
    /// It has no pixels.
    #[error("has no pixels")]
    Empty,
    /// It claims to be a picture and is damaged, or takes more memory than allowed.
    #[error("cannot be decoded: {0}")]
    Decode(ImageError),
}

/// What a file is by its first bytes; none of other files than PNG, JPEG and WebP.
pub fn format_of(file: &[u8]) -> Option<ImageFormat> {
    let known = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP];
    let found = image::guess_format(file).ok()?;
    known.contains(&found).then_some(found)
}

/// Reads a PNG, JPEG or WebP file (of an animation the first picture), upright as its EXIF says.
pub fn read(file: &[u8], bounds: &Bounds) -> Result<DynamicImage, PictureError> {
    if file.len() > bounds.file {
        return Err(PictureError::TooLong {
            found: file.len(),
            most: bounds.file,
        });
    }
    let format = format_of(file).ok_or(PictureError::Format)?;
    let file = match format {
        ImageFormat::Png => without_texts(file),
        _ => Cow::from(file),
    };
    let mut limits = Limits::default();
    limits.max_alloc = Some(bounds.memory);
    let mut reader = ImageReader::with_format(Cursor::new(file), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(PictureError::Decode)?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(PictureError::Empty);
    }
    if width.max(height) > bounds.side {
        return Err(PictureError::TooLarge {
            width,
            height,
            most: bounds.side,
        });
    }
    if decoder.total_bytes() > bounds.memory {
        let limit = image::error::LimitErrorKind::InsufficientMemory;
        let error = image::error::LimitError::from_kind(limit);
        return Err(PictureError::Decode(ImageError::Limits(error)));
    }
    // A damaged note about the orientation says nothing about the pixels.
    let orientation = decoder.orientation().ok();
    let mut picture = DynamicImage::from_decoder(decoder).map_err(PictureError::Decode)?;
    if let Some(orientation) = orientation {
        picture.apply_orientation(orientation);
    }
    Ok(picture)
}

/// A PNG without the texts before its pixels, as far as it is well-formed. The decoder would turn them into strings letter by letter, which takes longer
/// than the pixels of a small picture.
fn without_texts(png: &[u8]) -> Cow<'_, [u8]> {
    const SIGNATURE: usize = 8;
    /// Bytes of a chunk beside its data: length, name, checksum.
    const AROUND: usize = 12;
    let mut kept = Vec::new();
    let (mut at, mut from) = (SIGNATURE, 0);
    while let Some((length, name)) = chunk_at(png, at)
        && &name != b"IDAT"
    {
        let Some(next) = at.checked_add(AROUND + length) else {
            break;
        };
        if [b"tEXt", b"zTXt", b"iTXt"].contains(&&name) && next <= png.len() {
            kept.extend_from_slice(&png[from..at]);
            from = next;
        }
        at = next;
    }
    if kept.is_empty() {
        return Cow::from(png);
    }
    kept.extend_from_slice(&png[from..]);
    Cow::from(kept)
}

/// Length of the data of a chunk of a PNG, and its name.
fn chunk_at(png: &[u8], at: usize) -> Option<(usize, [u8; 4])> {
    let (length, rest) = png.get(at..)?.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    Some((length, *rest.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Format, Text, write};

    const SMALL: Bounds = Bounds::of(64, 1 << 20);
    const FORMATS: [ImageFormat; 3] = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP];

    fn file(format: ImageFormat, width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        DynamicImage::new_rgb8(width, height)
            .write_to(&mut Cursor::new(&mut bytes), format)
            .expect("a small picture can be written");
        bytes
    }

    #[test]
    fn every_format_is_read_within_its_bounds() {
        for format in FORMATS {
            let picture = read(&file(format, 64, 3), &SMALL).unwrap();
            assert_eq!((picture.width(), picture.height()), (64, 3));
            let error = read(&file(format, 65, 3), &SMALL).unwrap_err();
            assert!(
                matches!(error, PictureError::TooLarge { width: 65, .. }),
                "{error}"
            );
        }
        let error = read(&vec![0; SMALL.file + 1], &SMALL).unwrap_err();
        assert!(matches!(error, PictureError::TooLong { .. }), "{error}");
        let error = read(b"GIF89a, or so it says", &SMALL).unwrap_err();
        assert!(matches!(error, PictureError::Format), "{error}");
    }

    #[test]
    fn texts_do_not_count() {
        let plain = file(ImageFormat::Png, 5, 4);
        let bare = without_texts(&plain);
        assert!(matches!(bare, Cow::Borrowed(_)) && *bare == plain);
        let texts = [
            Text::new("parameters", "a cat"),
            Text::new("title", "Stra\u{df}e"),
            Text::new("atelier", "\u{732b}"),
        ];
        let picture = DynamicImage::new_rgb8(5, 4);
        let told = write(&picture, Format::Png, &texts).unwrap();
        assert_eq!(
            *without_texts(&told),
            write(&picture, Format::Png, &[]).unwrap()
        );
        assert_eq!(read(&told, &SMALL).unwrap(), picture);
        // Cut off before its pixels, it is as damaged as before.
        let pixels = told.windows(4).position(|name| name == b"IDAT");
        for length in 0..pixels.unwrap() {
            assert!(read(&told[..length], &SMALL).is_err(), "{length}");
        }
    }

    #[test]
    fn a_bomb_is_refused_by_its_header() {
        // One colour on 16,384 x 16,384 pixels: some kilobytes in the file, 805 MB decoded.
        let mut bomb = file(ImageFormat::Png, 4, 4);
        bomb[16..20].copy_from_slice(&16_384_u32.to_be_bytes());
        bomb[20..24].copy_from_slice(&16_384_u32.to_be_bytes());
        let crc = crc(&bomb[12..29]);
        bomb[29..33].copy_from_slice(&crc.to_be_bytes());
        let error = read(&bomb, &SMALL).unwrap_err();
        assert!(error.to_string().contains("emory limit"), "{error}");
        // Sides within bounds, memory not.
        let tight = Bounds {
            memory: 1_000,
            ..SMALL
        };
        for format in FORMATS {
            let error = read(&file(format, 60, 60), &tight).unwrap_err();
            assert!(matches!(error, PictureError::Decode(_)), "{error}");
        }
    }

    /// CRC-32 of a PNG chunk (ISO 3309), bit by bit.
    fn crc(bytes: &[u8]) -> u32 {
        let step = |crc: u32| (crc >> 1) ^ (0xEDB8_8320 & 0_u32.wrapping_sub(crc & 1));
        let byte = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc));
        !bytes.iter().fold(u32::MAX, byte)
    }

    #[test]
    fn photographs_are_turned_as_the_camera_was_held() {
        // EXIF with one entry, orientation 6: the top of the scene is at the right.
        let mut exif =
            b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
        let length = u16::try_from(exif.len() + 2).unwrap();
        let mut segment = vec![0xFF, 0xE1];
        segment.extend(length.to_be_bytes());
        segment.append(&mut exif);
        let mut photograph = file(ImageFormat::Jpeg, 8, 2);
        photograph.splice(2..2, segment);
        let picture = read(&photograph, &SMALL).unwrap();
        assert_eq!((picture.width(), picture.height()), (2, 8));
    }

    proptest! {
        #[test]
        fn no_damage_makes_reading_panic(which in 0..4_usize, at in any::<prop::sample::Index>(), value in any::<u8>(), cut in any::<prop::sample::Index>()) {
            let told = || write(&DynamicImage::new_rgb8(9, 9), Format::Png, &[Text::new("parameters", "eine Katze, \u{732b}")]);
            let mut bytes = FORMATS.get(which).map_or_else(|| told().unwrap(), |format| file(*format, 9, 9));
            let index = at.index(bytes.len());
            bytes[index] = value;
            let _ = read(&bytes, &SMALL);
            let _ = read(&bytes[..cut.index(bytes.len())], &SMALL);
        }
    }
}
