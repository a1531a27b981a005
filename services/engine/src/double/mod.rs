//! Deterministic test double of the engine: for tests of the farm without libtorch. Never a default.
