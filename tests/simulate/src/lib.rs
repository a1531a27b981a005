//! The farm's own domain code in model farms: a [small] one under random operations and faults, and a [large] one's day on a virtual clock.

pub mod large;
pub mod shapes;
pub mod small;
