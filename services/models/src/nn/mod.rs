//! Blocks shared by two models or more.
