//! Fuzz targets: every decoder of bytes that others wrote, fed with rubbish and with damaged samples.
//!
//! As tests they run for a moment each; README.md says how to let one run for longer. A decoder may refuse anything. It must not panic, and
//! what it takes must be within its bounds and read the same once it was written again.

#[cfg(test)]
mod calls;
#[cfg(test)]
mod command;
#[cfg(test)]
mod critic;
#[cfg(test)]
mod input;
#[cfg(test)]
mod judging;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod pictures;
#[cfg(test)]
mod renderers;
#[cfg(test)]
mod stored;
#[cfg(test)]
mod target;
#[cfg(test)]
mod texts;
#[cfg(test)]
mod weights;
