//! The coordinator as a process on real servers, with the test in the workers' place: what a worker would never do can be tried too.

mod kubernetes;

mod admin;
mod ahead;
mod bad_input;
mod cancel;
mod checks;
mod claims;
mod events;
mod fair;
mod files;
mod flow;
mod health;
mod http;
mod late;
mod leases;
mod many;
mod openai;
mod openapi;
mod outage;
mod pace;
mod page;
mod pods;
mod quarantine;
mod retire;
mod tenants;
mod trace_context;
mod webhooks;
