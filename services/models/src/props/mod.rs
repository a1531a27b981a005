//! The prop library: pictures of things, found by name and meaning.
