//! The commands, one a file, and what several of them share: `database`, `deliver`, `files`, `follow`, `options`, `request`.

pub mod batch;
pub mod cancel;
pub mod capacity;
pub mod completions;
mod database;
mod deliver;
pub mod doctor;
pub mod down;
pub mod download;
mod files;
mod follow;
pub mod inspect;
pub mod key;
pub mod list;
pub mod migrate;
mod options;
pub mod plan;
pub mod replay;
mod request;
pub mod retry;
pub mod status;
pub mod submit;
pub mod trace;
pub mod up;
pub mod version;
pub mod watch;
pub mod workers;
