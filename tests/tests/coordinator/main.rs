//! The coordinator as a process on real servers, with the test in the workers' place: what a worker would never do can be tried too.

mod hand;

mod admin;
mod cancel;
mod events;
mod fair;
mod flow;
mod http;
mod late;
mod leases;
mod many;
mod outage;
mod quarantine;
mod tenants;
