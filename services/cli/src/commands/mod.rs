//! The commands, one a file.

pub mod cancel;
pub mod completions;
pub mod doctor;
pub mod down;
pub mod download;
mod files;
pub mod status;
pub mod submit;
pub mod trace;
pub mod up;
