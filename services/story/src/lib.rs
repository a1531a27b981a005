//! A trace told to people: the words of its parts, for the terminal too, and the whole as one page of HTML that needs nothing beside itself.
//!
//! Pure: a trace and its pictures in, text out. Whatever comes from a prompt is only ever text on the page.

mod html;
mod times;
pub mod words;

#[cfg(test)]
mod sample;

pub use html::{Pictures, page};
pub use times::Times;
