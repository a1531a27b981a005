//! The prop library: pictures of things, found by name and meaning, and the words of the small world they stand in.

mod library;
mod meaning;
mod noun;
pub mod picture;
pub mod vocabulary;

pub use library::{Prop, PropError, PropLibrary};
pub(crate) use noun::singulars;
