//! The prop library: pictures of things, found by name and meaning, and the words of the small world they stand in.

pub mod picture;
pub mod vocabulary;
