//! The `atelier` command: a farm on this machine (`up`, `down`) and a client of any farm (`submit`, `status`, ...).
//!
//! [`servers`] knows how NATS and PostgreSQL are found, prepared and started; the system tests use it too.

pub mod servers;
