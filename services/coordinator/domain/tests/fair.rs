//! Fair shares: what every order of arrivals and takings keeps to.

use std::collections::BTreeMap;

use atelier_domain::fair::{Lane, STEP, Shares, Turn, Weight, share};
use atelier_proto::job::Priority;
use proptest::prelude::*;

/// A tenant brings some requests, or somebody takes one.
#[derive(Clone, Debug)]
enum Op {
    Bring { tenant: usize, requests: u32 },
    Take,
}

/// Requests through shares and a lane, with the books that the properties are about.
struct Farm {
    weights: Vec<Weight>,
    shares: Shares<usize>,
    lane: Lane<u64>,
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
            lane: Lane::default(),
            tenant_of: Vec::new(),
            waiting: vec![0; tenants],
            served: vec![0; tenants],
            history: Vec::new(),
        }
    }

    fn bring(&mut self, tenant: usize) -> u64 {
        self.bring_as(tenant, Priority::Normal)
    }

    fn bring_as(&mut self, tenant: usize, priority: Priority) -> u64 {
        self.look();
        let weight = self.weights[tenant];
        let tag = self.shares.admit(tenant, priority, 1, weight);
        let id = self.tenant_of.len() as u64;
        self.tenant_of.push(tenant);
        self.waiting[tenant] += 1;
        self.lane.push(Turn { tag, id });
        id
    }

    fn look(&mut self) {
        if let Some(turn) = self.lane.first() {
            self.shares.see(turn.tag);
        }
    }

    fn take(&mut self) -> Option<u64> {
        self.look();
        let turn = self.lane.pop()?;
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
        requests * self.weights[tenant].stretch(Priority::Normal, 1)
    }
}

fn weights() -> impl Strategy<Value = Vec<Weight>> {
    let weight = (1..=20_u32).prop_map(|weight| Weight::new(weight).expect("within 1..=1000"));
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
    /// Theorem 1 of Goyal, Vin, Cheng 1996 (see `fair`): whatever else happens, while two tenants have work waiting, what they are given differs by at most one
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
                let most = STEP + farm.weights[a].stretch(Priority::Normal, 1) + farm.weights[b].stretch(Priority::Normal, 1);
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
        prop_assert!(farm.lane.is_empty());
    }

    #[test]
    fn nobody_saves_up_while_idle(
        clock in 0..u64::MAX / 2,
        finish in 0..u64::MAX / 2,
        cost in 0..100_u32,
        weight in 1..=Weight::MAX,
        priority in priority(),
    ) {
        let mut shares = Shares::default();
        shares.see(clock);
        // A job of an old request does not turn it back.
        shares.see(clock / 2);
        shares.resume("tenant", priority, finish);
        let tag = shares.admit("tenant", priority, cost, Weight::new(weight).expect("within 1..=1000"));
        let start = clock.max(finish);
        prop_assert_eq!(tag, start - start % STEP + priority as u64, "the priority is the end of the tag");
        prop_assert!(shares.finish("tenant", priority) > tag);
    }

    /// However much urgent work comes: each flow passes a waiting request with what waits at the same tag, and with one request that comes later.
    #[test]
    fn nothing_starves(
        weights in weights(),
        before in ops(),
        after in prop::collection::vec((0..4_usize, priority(), any::<bool>()), 0..400),
    ) {
        let mut farm = Farm::new(weights);
        farm.weights.push(Weight::ONE);
        farm.waiting.push(0);
        farm.served.push(0);
        let patient = farm.weights.len() - 1;
        for op in &before {
            match *op {
                Op::Bring { tenant, requests } => for n in 0..requests {
                    farm.bring_as(tenant % patient, Priority::ALL[n as usize % 3]);
                },
                Op::Take => drop(farm.take()),
            }
        }
        let id = farm.bring_as(patient, Priority::Batch);
        let most = 2 * patient * Priority::ALL.len();
        let mut passed = 0;
        for (tenant, priority, takes) in after {
            farm.bring_as(tenant % patient, priority);
            if takes {
                if farm.take() == Some(id) {
                    return Ok(());
                }
                passed += 1;
                prop_assert!(passed <= most, "{passed} requests passed it");
            }
        }
    }
}

#[test]
fn urgent_work_gets_more_and_patient_work_its_part() {
    let mut farm = Farm::new(vec![Weight::ONE; 3]);
    for (tenant, priority) in Priority::ALL.into_iter().enumerate() {
        for _ in 0..400 {
            farm.bring_as(tenant, priority);
        }
    }
    for _ in 0..210 {
        farm.take();
    }
    let all: u64 = Priority::ALL.into_iter().map(share).sum();
    for (tenant, priority) in Priority::ALL.into_iter().enumerate() {
        let wanted = 210 * share(priority) / all;
        assert!(
            farm.served[tenant].abs_diff(wanted) <= 2,
            "{:?}",
            farm.served
        );
    }
}

/// What is made ahead of a patient flow does not move the clock past what follows from it.
#[test]
fn a_newcomer_does_not_wait_for_work_that_was_begun_ahead() {
    let mut shares = Shares::default();
    let (mut plans, mut drawings) = (Lane::default(), Lane::default());
    let look = |shares: &mut Shares<u8>, lanes: [&Lane<u32>; 2]| {
        if let Some(first) = lanes.into_iter().filter_map(Lane::first).min() {
            shares.see(first.tag);
        }
    };
    for id in 0..100 {
        look(&mut shares, [&plans, &drawings]);
        let tag = shares.admit(1, Priority::Normal, 1, Weight::ONE);
        plans.push(Turn { tag, id });
    }
    // All plans are made before anything is drawn.
    while !plans.is_empty() {
        look(&mut shares, [&plans, &drawings]);
        drawings.push(plans.pop().unwrap());
    }
    for _ in 0..10 {
        look(&mut shares, [&plans, &drawings]);
        drawings.pop();
    }
    look(&mut shares, [&plans, &drawings]);
    let tag = shares.admit(2, Priority::Normal, 1, Weight::ONE);
    drawings.push(Turn { tag, id: 100 });
    let next: Vec<_> = (0..2)
        .filter_map(|_| drawings.pop())
        .map(|turn| turn.id)
        .collect();
    assert!(next.contains(&100), "{next:?}");
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
    let turn = |id| Turn { tag: id, id };
    let mut lane = Lane::default();
    lane.push(turn(1));
    lane.push(turn(2));
    assert!(lane.remove(&turn(1)) && !lane.remove(&turn(1)));
    assert_eq!(lane.pop(), Some(turn(2)));
    assert_eq!((lane.len(), lane.pop()), (0, None));
}
