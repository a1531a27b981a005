//! What numbers say: pure functions, seeded where chance comes in.

mod bootstrap;
mod bradley_terry;
mod wilson;

pub use bootstrap::{Interval, bootstrap};
pub use bradley_terry::{Duel, Wins, elo};
pub use wilson::wilson;
