//! Results as files: whole or not there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use atelier_pictures::{Bounds, Format, read, write};
use atelier_proto::RequestId;

/// What the farm draws is within these.
const BOUNDS: Bounds = Bounds::of(16_384, 1 << 30);

/// How a picture is saved.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct PictureArgs {
    /// Quality of a JPEG, 1 (smallest) to 100 (best)
    #[arg(long, value_name = "N", default_value_t = Format::QUALITY, value_parser = clap::value_parser!(u8).range(1..=100))]
    quality: u8,
}

impl PictureArgs {
    /// The farm's PNG as the file that `path` names: a JPEG or WebP by its ending, else as it is, with all that it says of itself.
    pub fn file(self, path: &Path, png: Vec<u8>) -> Result<Vec<u8>> {
        let ending = path.extension().unwrap_or_default().to_string_lossy();
        let format = match Format::of_ending(&ending) {
            None | Some(Format::Png) => return Ok(png),
            Some(Format::Jpeg { .. }) => Format::Jpeg {
                quality: self.quality,
            },
            Some(other) => other,
        };
        let picture =
            read(&png, &BOUNDS).map_err(|error| anyhow::anyhow!("the farm's picture {error}"))?;
        Ok(write(&picture, format, &[])?)
    }
}

/// Writes a file beside its final place first, so that nobody finds half of it.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut half = path.as_os_str().to_owned();
    half.push(format!(".{}.half", std::process::id()));
    let half = PathBuf::from(half);
    fs::write(&half, bytes)
        .and_then(|()| fs::rename(&half, path))
        .inspect_err(|_| drop(fs::remove_file(&half)))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Where the picture of a request goes when nobody says: the end of an id is what differs most.
pub fn default_picture(id: RequestId) -> PathBuf {
    let id = id.to_string();
    PathBuf::from(format!("atelier-{}.png", &id[id.len() - 8..]))
}

/// Where the trace goes: beside the picture.
pub fn trace_beside(picture: &Path) -> PathBuf {
    picture.with_extension("trace.json")
}

/// `cat.png` as the picture with a number: `cat-2.png`.
pub fn numbered(picture: &Path, number: usize) -> PathBuf {
    let stem = picture.file_stem().unwrap_or_default().to_string_lossy();
    let name = match picture.extension() {
        Some(extension) => format!("{stem}-{number}.{}", extension.to_string_lossy()),
        None => format!("{stem}-{number}"),
    };
    picture.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_before_the_extension() {
        for (file, second) in [
            ("cat.png", "cat-2.png"),
            ("a.b/cat.big.png", "a.b/cat.big-2.png"),
            ("cat", "cat-2"),
        ] {
            assert_eq!(numbered(Path::new(file), 2), Path::new(second));
        }
    }

    #[test]
    fn the_ending_says_what_is_written() {
        let png = write(&image::DynamicImage::new_rgb8(5, 3), Format::Png, &[]).unwrap();
        let args = PictureArgs { quality: 80 };
        for (name, format) in [
            ("cat.png", image::ImageFormat::Png),
            ("cat", image::ImageFormat::Png),
            ("cat.JPG", image::ImageFormat::Jpeg),
            ("cat.webp", image::ImageFormat::WebP),
        ] {
            let file = args.file(Path::new(name), png.clone()).unwrap();
            assert_eq!(image::guess_format(&file).unwrap(), format, "{name}");
        }
        assert!(
            args.file(Path::new("cat.jpg"), b"no picture".to_vec())
                .is_err()
        );
    }

    #[test]
    fn a_file_is_whole_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("picture.png");
        write_whole(&file, b"one").unwrap();
        write_whole(&file, b"two").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert!(write_whole(&folder.path().join("no/folder"), b"x").is_err());
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "nothing is left lying about"
        );
        assert_eq!(
            trace_beside(&file),
            folder.path().join("picture.trace.json")
        );
    }
}
