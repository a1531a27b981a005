//! Picture files: read within bounds, written with what they say of themselves, resized as the references do.
//!
//! Pixels only: no tensors, no network.

mod alpha;
mod origin;
mod parameters;
mod provenance;
mod read;
mod resize;
mod texts;
mod write;

pub use alpha::{on, on_white};
pub use origin::Origin;
pub use parameters::Parameters;
pub use provenance::{PROVENANCE_VERSION, Provenance};
pub use read::{Bounds, PictureError, format_of, read};
pub use resize::{Filter, resize};
pub use texts::{MAX_TEXT, Text, texts};
pub use write::{Format, WriteError, write};
