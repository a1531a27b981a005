//! Pictures in the terminal: how, if at all; and how a picture looks so far, in half blocks under the bars.

use std::{env, io::IsTerminal};

use atelier_pictures::Bounds;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::ValueEnum;

use super::picture::half_blocks;

/// Width in columns; as many rows as it takes, two pixels each.
const COLUMNS: u32 = 24;
/// Longest preview that is looked at, in bytes of base64.
const LONGEST: usize = 1 << 20;
/// What is decoded of a preview.
const BOUNDS: Bounds = Bounds::of(1024, LONGEST);

/// Whether and how pictures are shown.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct PreviewArgs {
    /// How pictures are shown in the terminal; auto goes by what the terminal says of itself
    #[arg(long, value_name = "HOW", value_enum, default_value_t = Preview::Auto)]
    preview: Preview,
}

/// Ways to show a picture in a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Preview {
    /// The best that the terminal can
    Auto,
    /// The graphics protocol of kitty and Ghostty
    Kitty,
    /// That of iTerm2 and WezTerm
    Iterm,
    /// Sixels: foot, mlterm, contour, mintty
    Sixel,
    /// Half blocks in 24-bit colours
    Blocks,
    /// Not at all
    None,
}

impl PreviewArgs {
    /// How the finished picture is shown on stdout. Somebody who names a way gets it, also where stdout is no terminal.
    pub fn of_picture(self) -> Preview {
        let is_terminal = std::io::stdout().is_terminal();
        chosen(self.preview, is_terminal, |name| {
            env::var(name).unwrap_or_default()
        })
    }

    /// Whether unfinished pictures are shown under the bars: always in half blocks, which can be drawn over.
    pub fn is_live(self) -> bool {
        match self.preview {
            Preview::None => false,
            Preview::Auto => has_colours(&|name| env::var(name).unwrap_or_default()),
            _ => true,
        }
    }
}

fn chosen(wanted: Preview, is_terminal: bool, variable: impl Fn(&str) -> String) -> Preview {
    if wanted != Preview::Auto {
        return wanted;
    }
    let (term, program) = (variable("TERM"), variable("TERM_PROGRAM"));
    if !is_terminal || term == "dumb" || !variable("NO_COLOR").is_empty() {
        return Preview::None;
    }
    // What is between us and the terminal passes on text only.
    let is_wrapped = !variable("TMUX").is_empty() || !variable("STY").is_empty();
    let any = |names: &[&str], of: &str| names.iter().any(|name| of.contains(name));
    if is_wrapped {
        Preview::Blocks
    } else if any(&["kitty", "ghostty"], &term) || program == "ghostty" {
        Preview::Kitty
    } else if any(&["iTerm", "WezTerm"], &program) || variable("LC_TERMINAL") == "iTerm2" {
        Preview::Iterm
    } else if any(&["sixel", "foot", "mlterm", "contour"], &term) || program == "mintty" {
        Preview::Sixel
    } else {
        Preview::Blocks
    }
}

/// Whether the terminal shows 24-bit colours and the user has nothing against them.
fn has_colours(variable: &impl Fn(&str) -> String) -> bool {
    let colours = matches!(variable("COLORTERM").as_str(), "truecolor" | "24bit");
    let term = variable("TERM");
    let known = ["kitty", "ghostty", "direct", "foot"];
    let is_known = known.iter().any(|name| term.contains(name));
    variable("NO_COLOR").is_empty() && term != "dumb" && (colours || is_known)
}

/// The preview of an event as lines; none if it is no picture.
pub fn lines(preview: &str) -> Option<String> {
    if preview.len() > LONGEST {
        return None;
    }
    let png = STANDARD.decode(preview).ok()?;
    let picture = atelier_pictures::read(&png, &BOUNDS).ok()?;
    let text = half_blocks(&picture.into_rgb8(), COLUMNS);
    Some(text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_is_as_wide_as_it_may_and_rubbish_is_none() {
        let picture = image::RgbImage::new(64, 64);
        let mut png = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
        let text = lines(&STANDARD.encode(png.into_inner())).unwrap();
        assert_eq!(text.lines().count(), 12);
        assert_eq!(text.matches('▀').count(), 12 * 24);
        assert_eq!(lines("no picture"), None);
        assert_eq!(lines(&"A".repeat(LONGEST + 1)), None);
    }

    #[test]
    fn the_terminal_is_taken_at_its_word() {
        let auto = |pairs: &[(&str, &str)]| {
            chosen(Preview::Auto, true, |name| {
                let found = pairs.iter().find(|(known, _)| *known == name);
                found.map_or(String::new(), |(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(auto(&[("TERM", "xterm-kitty")]), Preview::Kitty);
        assert_eq!(auto(&[("TERM_PROGRAM", "ghostty")]), Preview::Kitty);
        assert_eq!(auto(&[("TERM_PROGRAM", "iTerm.app")]), Preview::Iterm);
        assert_eq!(auto(&[("TERM_PROGRAM", "WezTerm")]), Preview::Iterm);
        assert_eq!(auto(&[("TERM", "foot")]), Preview::Sixel);
        assert_eq!(auto(&[("TERM", "xterm-256color")]), Preview::Blocks);
        let in_tmux = [("TERM", "xterm-kitty"), ("TMUX", "/tmp/x")];
        assert_eq!(auto(&in_tmux), Preview::Blocks);
        for no in [("TERM", "dumb"), ("NO_COLOR", "1")] {
            assert_eq!(auto(&[no]), Preview::None);
        }
        let none = |_: &str| String::new();
        assert_eq!(chosen(Preview::Auto, false, none), Preview::None);
        assert_eq!(chosen(Preview::Sixel, false, none), Preview::Sixel);
        assert!(has_colours(&|name| if name == "COLORTERM" {
            "truecolor".into()
        } else {
            none(name)
        }));
        assert!(!has_colours(&none));
    }
}
