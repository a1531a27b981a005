//! The worker as a process on real NATS, with the test in the coordinator's place: what a coordinator would never do can be tried too.

mod desk;

mod batch;
mod begin;
mod cancel;
mod drain;
mod fault;
mod load;
mod outbox;
mod quarantine;
mod ready;
mod share;
mod stream;
