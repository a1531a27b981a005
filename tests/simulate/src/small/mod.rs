//! A small farm under random operations: two coordinators, three workers, a stream, a store and a database, all of them models; what decides is
//! the coordinator's own domain code. An operation is one thing that one part does, or one fault. Everything that is not in the model database
//! may vanish at any time.
//!
//! **Failures**, each a [`Broken`]:
//! - an invariant of the domain does not hold after an event, or a step is none that may follow;
//! - a request that was accepted is not in the database, ends more than once, or ends and changes;
//! - a report is committed for another attempt than the running one; a job gets its output twice, or has another one than the report that was
//!   answered as committed;
//! - an artifact is named that was never stored;
//! - once the faults stop and everybody works as they should, a request does not end ([`Farm::settle`]).
//!
//! **Not failures**: work that is done twice or in vain; messages for jobs that are over; an attempt that is given up because its worker was only
//! slow; the order in which requests are served; a request that fails because its attempts did.
//!
//! **Nondeterminism**: none. Time, choices and names all come from the operations; maps are ordered. The same list does the same every time, so
//! that proptest can shrink it, and a list that once failed is kept as a test with a name (`tests/small.rs`).

mod farm;
mod op;
mod promises;
mod stream;

pub use farm::{Care, Farm};
pub use op::{Answer, Ends, Op, Publish};
pub use promises::Broken;
