//! The call that is being answered: when it came and for what, so that a request's trace begins with it, whichever way it was made.

use std::time::SystemTime;

use atelier_platform::{Clock, SystemClock};

tokio::task_local! {
    static CALL: Arrival;
}

/// When a call came, and for what.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// When it came.
    pub at: SystemTime,
    /// Its method.
    pub method: &'static str,
    /// Its path as documented, so that callers cannot make new ones.
    pub route: String,
}

impl Arrival {
    /// A call that came now.
    pub fn now(method: &'static str, route: &str) -> Self {
        Self {
            at: SystemClock.now(),
            method,
            route: route.to_owned(),
        }
    }

    /// Does what the call is answered with.
    pub async fn answer<T>(self, work: impl Future<Output = T>) -> T {
        CALL.scope(self, work).await
    }

    /// Work of this task's call that another task is to do.
    pub fn carry<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
        let call = Self::current();
        async move {
            match call {
                Some(call) => call.answer(work).await,
                None => work.await,
            }
        }
    }

    /// The call that this task answers.
    pub fn current() -> Option<Self> {
        CALL.try_with(Self::clone).ok()
    }
}
