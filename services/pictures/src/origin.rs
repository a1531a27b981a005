//! The text `atelier-trace`: the request that a picture was drawn for, so that its trace is found from the file.
//!
//! It is not in the picture as it is stored, which is the same file for all requests that draw it. It is put into the copy that somebody keeps,
//! between header and everything else, and comes out again without a difference.

use atelier_proto::RequestId;
use serde::{Deserialize, Serialize};

use crate::{Provenance, texts};

/// Version of the JSON that this build writes.
const VERSION: u32 = 1;
/// Signature and header (IHDR) of a PNG, in bytes.
const HEADER: usize = 33;
/// Length, type and checksum of a chunk, in bytes.
const FRAME: usize = 12;
/// Longest text that is read, in bytes.
const MOST: usize = 1_024;

/// Whose picture it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    version: u32,
    /// The request. `atelier trace ID` and `GET /v1/requests/{id}/trace` tell how the picture came about.
    pub request: RequestId,
}

impl Origin {
    /// The keyword of the text.
    pub const KEYWORD: &str = "atelier-trace";

    /// The picture of `request`.
    pub const fn of(request: RequestId) -> Self {
        Self {
            version: VERSION,
            request,
        }
    }

    /// A copy of a stored picture that says where it is from; none of a file that says nothing of itself, or is no PNG.
    pub fn put_into(&self, png: &[u8]) -> Option<Vec<u8>> {
        let said = texts(png).ok()?;
        if !said.iter().any(|text| text.keyword == Provenance::KEYWORD) {
            return None;
        }
        let json = serde_json::to_string(self).ok()?;
        let body = [b"tEXt", Self::KEYWORD.as_bytes(), b"\0", json.as_bytes()].concat();
        let length = u32::try_from(body.len() - 4).ok()?;
        let (header, rest) = png.split_at_checked(HEADER)?;
        let sum = crc32fast::hash(&body);
        let parts = [header, &length.to_be_bytes(), &body, &sum.to_be_bytes()];
        Some([&parts.concat(), rest].concat())
    }

    /// What such a copy says, and the picture as it is stored; none of other files.
    pub fn take_out(png: &[u8]) -> Option<(Self, Vec<u8>)> {
        let (header, rest) = png.split_at_checked(HEADER)?;
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let data = after.strip_prefix(b"tEXt")?;
        let data = data.get(..length).filter(|data| data.len() <= MOST)?;
        let json = data.strip_prefix(Self::KEYWORD.as_bytes())?;
        let origin = serde_json::from_slice(json.strip_prefix(b"\0")?).ok()?;
        Some((origin, [header, rest.get(length + FRAME..)?].concat()))
    }
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, RgbImage};
    use proptest::prelude::*;

    use super::*;
    use crate::{Bounds, Format, Text, read, write};

    fn stored(texts: &[Text]) -> Vec<u8> {
        let picture = DynamicImage::from(RgbImage::from_pixel(5, 4, image::Rgb([9, 8, 7])));
        write(&picture, Format::Png, texts).unwrap()
    }

    #[test]
    fn a_copy_names_its_request_and_is_the_stored_picture_otherwise() {
        let origin = Origin::of(RequestId::at(1_700_000_000_000, [7; 10]));
        let png = stored(&[Text::new(Provenance::KEYWORD, "{}")]);
        let copy = origin.put_into(&png).unwrap();
        let said = texts(&copy).unwrap();
        let named = said.iter().find(|text| text.keyword == Origin::KEYWORD);
        let json = format!(r#"{{"version":1,"request":"{}"}}"#, origin.request);
        assert_eq!(named.map(|text| text.text.as_str()), Some(json.as_str()));
        let bounds = Bounds::of(64, 1 << 20);
        assert_eq!(
            read(&copy, &bounds).unwrap().into_rgb8(),
            read(&png, &bounds).unwrap().into_rgb8()
        );
        assert_eq!(Origin::take_out(&copy), Some((origin, png.clone())));
        assert_eq!(Origin::take_out(&png), None);
        // What a picture shall not say of itself, nobody adds.
        assert_eq!(origin.put_into(&stored(&[])), None);
        assert_eq!(origin.put_into(b"\xFF\xD8\xFF\xE0 JFIF"), None);
    }

    proptest! {
        #[test]
        fn no_damage_makes_reading_panic(at in any::<prop::sample::Index>(), value in any::<u8>(), cut in any::<prop::sample::Index>()) {
            let png = stored(&[Text::new(Provenance::KEYWORD, "{}")]);
            let mut copy = Origin::of(RequestId::at(1, [7; 10])).put_into(&png).unwrap();
            let place = at.index(copy.len());
            copy[place] = value;
            copy.truncate(cut.index(copy.len() + 1));
            let _ = Origin::take_out(&copy);
        }
    }
}
