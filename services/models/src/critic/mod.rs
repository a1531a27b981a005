//! Critics: what is in a picture, and where.

pub mod detector;
pub mod review;
