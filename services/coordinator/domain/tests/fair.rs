//! Fair shares and ageing: what every order of arrivals and takings keeps to.

use std::collections::BTreeMap;

use atelier_domain::{
    Policy,
    fair::{Lanes, Shares, Turn, Weight, rank},
};
use atelier_proto::job::Priority;
use proptest::prelude::*;

/// A tenant brings some requests, or somebody takes one.
#[derive(Clone, Debug)]
enum Op {
    Bring { tenant: usize, requests: u32 },
    Take,
}

/// Requests of one priority through shares and lanes, with the books that the properties are about.
struct Farm {
    weights: Vec<Weight>,
    shares: Shares<usize>,
    lanes: Lanes<u64>,
    tenant_of: Vec<usize>,
    waiting: Vec<u64>,
    served: Vec<u64>,
    /// After each step: how much each tenant was served, and whether it had something waiting all along the step.
    history: Vec<Vec<(u64, bool)>>,
}

impl Farm {
    fn new(weights: Vec<Weight>) -> Self {
        let tenants = weights.len();
        Self {
            weights,
            shares: Shares::default(),
            lanes: Lanes::default(),
            tenant_of: Vec::new(),
            waiting: vec![0; tenants],
            served: vec![0; tenants],
            history: Vec::new(),
        }
    }

    fn bring(&mut self, tenant: usize) -> u64 {
        let priority = Priority::Normal;
        let tag = self.shares.admit(tenant, priority, 1, self.weights[tenant]);
        let id = self.tenant_of.len() as u64;
        self.tenant_of.push(tenant);
        self.waiting[tenant] += 1;
        self.lanes.push(Turn {
            priority,
            tag,
            rank: 0,
            id,
        });
        id
    }

    fn take(&mut self) -> Option<u64> {
        let turn = self.lanes.pop()?;
        self.shares.taken(turn.priority, turn.tag);
        let tenant = self.tenant_of[turn.id as usize];
        self.waiting[tenant] -= 1;
        self.served[tenant] += 1;
        Some(turn.id)
    }

    fn step(&mut self, op: &Op) {
        let before = self.waiting.clone();
        match *op {
            Op::Bring { tenant, requests } => {
                for _ in 0..requests {
                    self.bring(tenant % self.weights.len());
                }
            }
            Op::Take => drop(self.take()),
        }
        let books = (0..self.weights.len())
            .map(|t| (self.served[t], before[t] > 0 && self.waiting[t] > 0))
            .collect();
        self.history.push(books);
    }

    /// How much virtual time a tenant's requests took between two steps.
    fn work(&self, tenant: usize, from: usize, to: usize) -> u64 {
        let requests = self.history[to][tenant].0 - self.history[from][tenant].0;
        requests * self.weights[tenant].stretch(1)
    }
}

fn weights() -> impl Strategy<Value = Vec<Weight>> {
    let weight = (1..=20_u32).prop_map(|weight| Weight::new(weight).unwrap());
    prop::collection::vec(weight, 2..5)
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        1 => (0..4_usize, 1..15_u32).prop_map(|(tenant, requests)| Op::Bring { tenant, requests }),
        4 => Just(Op::Take),
    ];
    prop::collection::vec(op, 1..120)
}

fn priority() -> impl Strategy<Value = Priority> {
    prop::sample::select(Priority::ALL.to_vec())
}

proptest! {
    /// Theorem 1 of the paper: whatever else happens, while two tenants have work waiting, what they are given differs by at most one
    /// request of each, in proportion to their weights.
    #[test]
    fn tenants_that_wait_share_by_weight(weights in weights(), ops in ops()) {
        let mut farm = Farm::new(weights);
        for op in &ops {
            farm.step(op);
        }
        let tenants = farm.weights.len();
        for a in 0..tenants {
            for b in a + 1..tenants {
                let most = farm.weights[a].stretch(1) + farm.weights[b].stretch(1);
                for from in 0..farm.history.len() {
                    for to in from + 1..farm.history.len() {
                        if !(farm.history[to][a].1 && farm.history[to][b].1) {
                            break;
                        }
                        let apart = farm.work(a, from, to).abs_diff(farm.work(b, from, to));
                        prop_assert!(apart <= most, "steps {from}..{to}: tenants {a} and {b} are {apart} apart, more than {most}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_newcomer_waits_for_at_most_one_request_of_each_other_tenant(weights in weights(), ops in ops()) {
        let mut farm = Farm::new(weights);
        farm.weights.push(Weight::ONE);
        farm.waiting.push(0);
        farm.served.push(0);
        let newcomer = farm.weights.len() - 1;
        for op in &ops {
            if let Op::Bring { tenant, requests } = *op {
                for _ in 0..requests {
                    farm.bring(tenant % newcomer);
                }
            } else {
                farm.take();
            }
        }
        let id = farm.bring(newcomer);
        let mut before = 0;
        while farm.take() != Some(id) {
            before += 1;
        }
        prop_assert!(before <= newcomer, "it waited for {before} requests of {newcomer} tenants");
    }

    #[test]
    fn one_tenants_requests_are_taken_in_the_order_they_came(weights in weights(), ops in ops()) {
        let mut farm = Farm::new(weights);
        let mut last: BTreeMap<usize, u64> = BTreeMap::new();
        for op in ops.iter().chain(std::iter::repeat_n(&Op::Take, 2_000)) {
            if let Op::Bring { tenant, requests } = *op {
                for _ in 0..requests {
                    farm.bring(tenant % farm.weights.len());
                }
            } else if let Some(id) = farm.take() {
                let tenant = farm.tenant_of[id as usize];
                prop_assert!(last.insert(tenant, id) < Some(id));
            }
        }
        prop_assert!(farm.lanes.is_empty());
    }

    #[test]
    fn nobody_saves_up_while_idle(clock in 0..u64::MAX / 2, finish in 0..u64::MAX / 2, cost in 0..100_u32, weight in 1..=Weight::MAX) {
        let mut shares = Shares::default();
        shares.taken(Priority::Batch, clock);
        shares.resume("tenant", Priority::Batch, finish);
        let tag = shares.admit("tenant", Priority::Batch, cost, Weight::new(weight).unwrap());
        prop_assert_eq!(tag, clock.max(finish));
        prop_assert!(shares.finish("tenant", Priority::Batch) > tag);
        shares.taken(Priority::Batch, 0);
        prop_assert_eq!(shares.clock(Priority::Batch), clock, "a clock never runs backwards");
        prop_assert_eq!(shares.clock(Priority::Normal), 0, "each priority has its own");
    }

    /// A request that is alone in its priority is passed only by those accepted within its handicap.
    #[test]
    fn nothing_starves(
        batch_at in 0..1_000_000_u64,
        others in prop::collection::vec((0..4_000_000_u64, prop_oneof![Just(Priority::Interactive), Just(Priority::Normal)]), 0..60),
    ) {
        let mut lanes = Lanes::default();
        let patience = rank(batch_at, Priority::Batch);
        let mut tags = [0, 0];
        let mut others = others;
        others.sort_by_key(|(at, _)| *at);
        for (index, (at, priority)) in others.iter().enumerate() {
            let tag = &mut tags[*priority as usize];
            *tag += 1;
            lanes.push(Turn { priority: *priority, tag: *tag, rank: rank(*at, *priority), id: index });
        }
        lanes.push(Turn { priority: Priority::Batch, tag: 0, rank: patience, id: usize::MAX });
        while let Some(turn) = lanes.pop().filter(|turn| turn.id != usize::MAX) {
            let (at, priority) = others[turn.id];
            prop_assert!(at + Policy::handicap_ms(priority) <= patience);
        }
    }

    /// What the coordinator's SQL relies on: taking the better head again and again is ordering by the largest rank up to each.
    #[test]
    fn merging_is_ordering_by_the_largest_rank_so_far(
        turns in prop::collection::btree_map((0..20_u64, 0..1_000_u32), (priority(), 0..50_u64), 0..60),
    ) {
        let mut lanes = Lanes::default();
        let mut largest = [0; Priority::ALL.len()];
        let mut sorted = Vec::new();
        for ((tag, id), (priority, rank)) in turns {
            lanes.push(Turn { priority, tag, rank, id });
            let largest = &mut largest[priority as usize];
            *largest = rank.max(*largest);
            sorted.push((*largest, priority, tag, id));
        }
        sorted.sort_unstable();
        let popped: Vec<u32> = std::iter::from_fn(|| lanes.pop()).map(|turn| turn.id).collect();
        let sorted: Vec<u32> = sorted.into_iter().map(|(.., id)| id).collect();
        prop_assert_eq!(popped, sorted);
    }
}

#[test]
fn five_requests_get_between_three_hundred() {
    let mut farm = Farm::new(vec![Weight::ONE, Weight::ONE]);
    for _ in 0..300 {
        farm.bring(0);
    }
    for _ in 0..20 {
        farm.take();
    }
    let late: Vec<u64> = (0..5).map(|_| farm.bring(1)).collect();
    let next: Vec<u64> = (0..11).filter_map(|_| farm.take()).collect();
    assert!(late.iter().all(|id| next.contains(id)), "{next:?}");
}

#[test]
fn a_canceled_job_loses_its_turn() {
    let turn = |id| Turn {
        priority: Priority::Normal,
        tag: id,
        rank: 0,
        id,
    };
    let mut lanes = Lanes::default();
    lanes.push(turn(1));
    lanes.push(turn(2));
    assert!(lanes.remove(&turn(1)) && !lanes.remove(&turn(1)));
    assert_eq!(lanes.pop(), Some(turn(2)));
    assert_eq!((lanes.len(), lanes.pop()), (0, None));
}
