//! A large farm's day on a virtual clock: hundreds or thousands of workers, a million requests of unequal tenants in three classes, with worker
//! deaths, hangs, lost and doubled messages, a burst, and a broker that goes away and loses its stream.
//!
//! What decides is the coordinator's own code: every change is a [`atelier_domain::Request::apply`] with the usual policy, every turn is one of
//! [`atelier_domain::fair`], and after each change every invariant is checked. What is modelled around it:
//! - commits and messages take no time; a job takes a log-normal one; a worker takes one job at a time and reads no further ahead;
//! - of heartbeats only what follows from them: a worker that lives keeps its leases, and rows are counted as they would be written;
//! - jobs are published ahead of the workers as the coordinator does it, and then taken in order;
//! - requests that ended are remembered for two minutes, so that late and doubled reports meet the state machine, and then only counted.
//!
//! Nothing is random but by the seed: the same command line gives the same day.

mod agenda;
mod arrivals;
mod config;
mod fairness;
mod farm;
mod histogram;
mod rates;
mod result;
mod stream;
mod tally;
mod workers;

pub use arrivals::{Arrivals, Submit};
pub use config::{Config, Floors};
pub use fairness::{Fairness, Shares};
pub use farm::Farm;
pub use histogram::{Histogram, Percentiles};
pub use rates::{Demand, Rate, Rates};
pub use result::{Day, Wait, simulate};
pub use tally::Tally;
