//! The coordinator: accepts requests over HTTP, decides with the domain what happens next, hands jobs to workers and collects what they report.
//!
//! PostgreSQL is the truth, and several coordinators may share it: whatever is kept in memory here is only fresher, never needed.
//! `http` and `loops` call `operations`; `operations` join `store`, bus and artifacts; only `store` holds SQL.

pub mod app;
pub mod config;
mod farm;
mod http;
mod loops;
mod metrics;
mod operations;
mod store;
