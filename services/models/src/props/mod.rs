//! The prop library: pictures of things, found by their words or by what kind of thing a noun is, and the words of the small world they stand in.

mod library;
mod noun;
pub mod picture;
mod stand_in;
pub mod vocabulary;

pub use library::{Prop, PropError, PropLibrary};
pub(crate) use noun::singulars;
pub use stand_in::StandIns;
