//! Devices: what was found, and which one is used.
