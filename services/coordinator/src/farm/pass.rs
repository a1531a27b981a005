//! Which jobs may be dispatched in the very commit that makes them ready: those of kinds of which nothing waits, as far as there is room.
//!
//! A pass is only ever a shortcut. Whatever gets none stays ready and is claimed in its turn. While anything of a kind is ready, and less than half
//! of its queue is free, nothing of that kind gets a pass, so that no job passes another that should go first. With half of the queue free the
//! next claim finds room for what waits; would it hold up the others until then, there would always be something to claim under load.
//!
//! Where renders take next to no time, plans are paced by them: of each follow some, and plans that are made far ahead of what can be drawn help
//! nobody, while everything that they lead to would wait in its turn and have to be claimed, read again, and kept for longer.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use atelier_proto::job::JobKind;

use crate::store::Backlog;

/// Where so many renders may queue, they are so quick that plans are paced by them.
const QUICK: i64 = 64;

/// Renders that a plan is taken to lead to.
const RENDERS_OF_A_PLAN: i64 = 2;

/// The passes of all kinds. Clones share them.
#[derive(Clone, Debug)]
pub struct Pass(Arc<[OfKind; 3]>);

#[derive(Debug)]
struct OfKind {
    /// Some job of this kind may be ready.
    waiting: AtomicBool,
    /// Jobs that may still be published before the queue is full.
    room: AtomicI64,
    /// The same when nothing queues.
    most: AtomicI64,
    /// Passes of commits that are under way: a claim does not see them yet.
    pending: AtomicI64,
}

/// The passes that one commit takes. Dropped after it, gives back those that were not used.
#[derive(Debug)]
pub struct Passes {
    pass: Pass,
    /// By kind, as in [`Pass`].
    taken: [i64; 3],
    used: [i64; 3],
}

impl Default for Pass {
    fn default() -> Self {
        // Nobody has looked yet.
        Self(Arc::new(std::array::from_fn(|_| OfKind {
            waiting: AtomicBool::new(true),
            room: AtomicI64::new(0),
            most: AtomicI64::new(0),
            pending: AtomicI64::new(0),
        })))
    }
}

impl Pass {
    /// For a commit that may take passes.
    pub fn passes(&self) -> Passes {
        Passes {
            pass: self.clone(),
            taken: [0; 3],
            used: [0; 3],
        }
    }

    /// A job has left the queue.
    pub fn give_back(&self, kind: JobKind) {
        self.of(kind).room.fetch_add(1, Ordering::Relaxed);
    }

    /// Some jobs of these kinds became ready without a pass: few are given to others until [`Self::renew`] knows that nothing waits.
    pub fn wait(&self, kinds: impl IntoIterator<Item = JobKind>) {
        for kind in kinds {
            self.of(kind).waiting.store(true, Ordering::Relaxed);
        }
    }

    /// Whether some job may be ready and a claim is worth its statement: a quarter of the queue is free, so that many are claimed together.
    pub fn is_worth_a_claim(&self) -> bool {
        JobKind::ALL.into_iter().any(|kind| {
            let of = self.of(kind);
            let (mut room, mut most) = (of.room(), of.most());
            if let Some(paced) = self.pace(kind) {
                room = room.min(paced - of.queued());
                // Its queue never gets longer than the renders' queue allows.
                most = most.min(self.of(JobKind::Render).most() / RENDERS_OF_A_PLAN);
            }
            of.waiting.load(Ordering::Relaxed) && room >= most / 4
        })
    }

    /// Most plans that may queue now, where they are paced by renders.
    pub fn paced_plans(&self) -> Option<u32> {
        let most = self.pace(JobKind::Plan)?;
        Some(u32::try_from(most).unwrap_or(0))
    }

    /// Most jobs of a kind that may queue beside the renders that do, where it is paced by them.
    fn pace(&self, kind: JobKind) -> Option<i64> {
        let renders = self.of(JobKind::Render);
        let paced = kind == JobKind::Plan && renders.most() >= QUICK;
        paced.then(|| renders.room() / RENDERS_OF_A_PLAN)
    }

    /// A claim looked: what is left waiting after it, and what queues now. `room` jobs may queue.
    pub fn renew(&self, backlog: Backlog, room: u32) {
        let of = self.of(backlog.kind);
        let pending = of.pending.load(Ordering::Relaxed);
        let left = i64::from(room) - i64::from(backlog.queued) - pending;
        of.most.store(i64::from(room), Ordering::Relaxed);
        of.room.store(left, Ordering::Relaxed);
        of.waiting.store(backlog.ready, Ordering::Relaxed);
    }

    fn of(&self, kind: JobKind) -> &OfKind {
        &self.0[index(kind)]
    }
}

impl OfKind {
    fn room(&self) -> i64 {
        self.room.load(Ordering::Relaxed)
    }

    fn most(&self) -> i64 {
        self.most.load(Ordering::Relaxed)
    }

    /// Jobs that queue.
    fn queued(&self) -> i64 {
        self.most() - self.room()
    }
}

impl Passes {
    /// Takes a pass for one job, if there is one.
    pub fn take(&mut self, kind: JobKind) -> bool {
        let of = self.pass.of(kind);
        let waiting = of.waiting.load(Ordering::Relaxed);
        let least = match self.pass.pace(kind) {
            // However long its turn takes: the queue is empty for its sake.
            Some(_) if waiting => return false,
            Some(most) => (of.most() - most).max(0),
            None if waiting => of.most() / 2,
            None => 0,
        };
        let less = |room: i64| (room > least).then_some(room - 1);
        let taken = of
            .room
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok();
        if taken {
            of.pending.fetch_add(1, Ordering::Relaxed);
            self.taken[index(kind)] += 1;
        }
        taken
    }

    /// A job was committed as dispatched by such a pass.
    pub fn used(&mut self, kind: JobKind) {
        self.used[index(kind)] += 1;
    }
}

impl Drop for Passes {
    fn drop(&mut self) {
        for ((of, taken), used) in self.pass.0.iter().zip(self.taken).zip(self.used) {
            of.room.fetch_add(taken - used, Ordering::Relaxed);
            of.pending.fetch_sub(taken, Ordering::Relaxed);
        }
    }
}

const fn index(kind: JobKind) -> usize {
    match kind {
        JobKind::Plan => 0,
        JobKind::Render => 1,
        JobKind::Critique => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_passes_what_waits_for_room_and_nothing_enters_a_full_queue() {
        let pass = Pass::default();
        let take = |kind| {
            let mut passes = pass.passes();
            let taken = passes.take(kind);
            if taken {
                passes.used(kind);
            }
            taken
        };
        assert!(!take(JobKind::Plan), "nobody has looked yet");
        let empty = |queued| Backlog {
            kind: JobKind::Plan,
            ready: false,
            queued,
        };
        pass.renew(empty(3), 4);
        assert!(take(JobKind::Plan));
        assert!(!take(JobKind::Plan), "the queue is full");
        assert!(!take(JobKind::Render), "nobody has looked at renders");
        pass.give_back(JobKind::Plan);
        pass.wait([JobKind::Render]);
        assert!(take(JobKind::Plan), "one of another kind waits");
        pass.give_back(JobKind::Plan);
        pass.wait([JobKind::Plan]);
        assert!(!take(JobKind::Plan), "another one waits for room");
        pass.give_back(JobKind::Plan);
        pass.give_back(JobKind::Plan);
        assert!(take(JobKind::Plan), "the one that waits finds room, too");
        assert!(!take(JobKind::Plan));
        pass.give_back(JobKind::Plan);
        pass.renew(empty(4), 4);
        assert!(!take(JobKind::Plan), "a claim has taken its place");
        pass.renew(empty(0), 4);
        assert!(take(JobKind::Plan));
    }

    #[test]
    fn who_looks_while_a_commit_is_under_way_counts_its_passes_and_unused_ones_come_back() {
        let pass = Pass::default();
        let empty = |queued| Backlog {
            kind: JobKind::Plan,
            ready: false,
            queued,
        };
        pass.renew(empty(0), 2);
        let mut passes = pass.passes();
        assert!(passes.take(JobKind::Plan));
        // It is not committed yet.
        pass.renew(empty(0), 2);
        let mut others = pass.passes();
        assert!(others.take(JobKind::Plan) && !others.take(JobKind::Plan));
        passes.used(JobKind::Plan);
        drop(passes);
        drop(others);
        pass.renew(empty(1), 2);
        let mut passes = pass.passes();
        assert!(passes.take(JobKind::Plan) && !passes.take(JobKind::Plan));
        drop(passes);
        assert!(
            pass.passes().take(JobKind::Plan),
            "the last one was not used"
        );
    }

    #[test]
    fn plans_are_paced_by_renders_where_those_are_quick() {
        let pass = Pass::default();
        let seen = |kind, queued, room| {
            let ready = false;
            let backlog = Backlog {
                kind,
                ready,
                queued,
            };
            pass.renew(backlog, room);
        };
        seen(JobKind::Plan, 0, 100);
        seen(JobKind::Critique, 0, 100);
        seen(JobKind::Render, 4, 8);
        assert_eq!(pass.paced_plans(), None, "renders take their time");
        seen(JobKind::Render, 40, 100);
        assert_eq!(pass.paced_plans(), Some(30));
        let mut passes = pass.passes();
        let taken = (0..100).filter(|_| passes.take(JobKind::Plan)).count();
        assert_eq!(taken, 30, "as many as the renders leave room for");
        (0..taken).for_each(|_| passes.used(JobKind::Plan));
        drop(passes);
        pass.wait([JobKind::Plan]);
        assert!(!pass.is_worth_a_claim(), "no more may queue");
        seen(JobKind::Render, 20, 100);
        assert!(!pass.is_worth_a_claim(), "only 10 more may");
        (0..2).for_each(|_| pass.give_back(JobKind::Plan));
        assert!(pass.is_worth_a_claim(), "a quarter of the 50 that ever may");
        assert!(
            !pass.passes().take(JobKind::Plan),
            "one waits, however few queue"
        );
        seen(JobKind::Render, 120, 100);
        assert_eq!(pass.paced_plans(), Some(0));
    }

    #[test]
    fn a_full_queue_is_not_worth_a_claim() {
        let pass = Pass::default();
        assert!(pass.is_worth_a_claim(), "nobody has looked yet");
        for kind in JobKind::ALL {
            let backlog = Backlog {
                kind,
                ready: kind == JobKind::Render,
                queued: 100,
            };
            pass.renew(backlog, 100);
        }
        assert!(!pass.is_worth_a_claim());
        for _ in 0..25 {
            assert!(!pass.is_worth_a_claim());
            pass.give_back(JobKind::Render);
        }
        assert!(pass.is_worth_a_claim());
    }
}
