//! What a coordinator does, one use case a file: load, ask the domain, save, and only then tell others.

pub mod advise;
pub mod cancel;
pub mod collect;
pub mod direct_plan;
pub mod dispatch;
pub mod error;
pub mod expire;
pub mod findings;
pub mod images;
pub mod look;
pub mod pictures;
pub mod pods;
pub mod retire;
pub mod retry;
pub mod settle;
pub mod spans;
pub mod submit;
pub mod trace;
pub mod webhooks;
