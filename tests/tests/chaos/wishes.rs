//! The requests of a run: what is asked, when and how. All of it follows from the seed.

use std::time::Duration;

use atelier_proto::{
    http::SubmitRequest,
    job::{Priority, Think},
};
use atelier_tests::prompt;

use crate::{
    draw::Draw,
    schedule::{COORDINATORS, TENANTS},
};

/// Things that pictures are asked of.
const THINGS: [&str; 8] = [
    "cat", "radio", "boat", "castle", "balloon", "robot", "lamp", "tree",
];
/// Steps of a request that is to be canceled; with its slow steps it takes 4 seconds.
const LONG_STEPS: u32 = 50;
/// Time of such a step.
pub const LONG_STEP: Duration = Duration::from_millis(80);
/// Numbers of poisonous requests start here.
pub const POISON: u32 = 900_000;
/// Added to the number of a request that takes the place of one without a key that nobody answered.
pub const IN_PLACE: u32 = 1_000_000;

/// One request to come.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Its number, which its prompt holds: two rows with one number are a duplicate.
    pub number: u32,
    /// When it is submitted, since the start of the load.
    pub at: Duration,
    /// What is asked.
    pub request: SubmitRequest,
    /// With it, a submit that nobody answered is repeated.
    pub key: Option<String>,
    /// The same is submitted once more after this time.
    pub again: Option<Duration>,
    /// It is canceled this long after it was acknowledged.
    pub cancel: Option<Duration>,
    /// Its events are followed.
    pub watched: bool,
    /// The coordinator that is asked first.
    pub first: usize,
}

impl Wish {
    /// The same under another number and with a key, after nobody answered the first.
    pub fn in_place(&self) -> Self {
        let number = self.number + IN_PLACE;
        let mut wish = self.clone();
        wish.request.prompt = renumbered(&self.request.prompt, self.number, number);
        wish.key = Some(key_of(number));
        wish.number = number;
        wish
    }
}

/// `count` requests, evenly over `time`.
pub fn wishes(seed: u64, count: u32, time: Duration) -> Vec<Wish> {
    (0..count)
        .map(|number| {
            let at = time.mul_f64(f64::from(number) / f64::from(count));
            wish(&mut Draw::new(seed, 1_000 + u64::from(number)), number, at)
        })
        .collect()
}

/// A request whose render job kills every worker that takes it.
pub fn poison(number: u32, first: usize) -> Wish {
    let number = POISON + number;
    Wish {
        number,
        at: Duration::ZERO,
        request: SubmitRequest {
            think: Think::Off,
            priority: Priority::Interactive,
            ..prompt(&format!("a poisoned apple no {number} [abort:render]"))
        },
        key: Some(key_of(number)),
        again: None,
        cancel: None,
        watched: true,
        first,
    }
}

fn wish(draw: &mut Draw, number: u32, at: Duration) -> Wish {
    let (one, other) = (*draw.pick(&THINGS), *draw.pick(&THINGS));
    let canceled = draw.chance(5);
    let thinks = !canceled && draw.chance(75);
    let how = match draw.below(100) {
        _ if canceled => format!(" [slow:{}]", LONG_STEP.as_millis()),
        // The critique is done again, by another worker or the same.
        0..3 => " [flaky:critique]".into(),
        3..11 => " [misses]".into(),
        11..23 => " [blend]".into(),
        23..33 => " [slow:40]".into(),
        _ => String::new(),
    };
    let keyed = canceled || draw.chance(90);
    Wish {
        number,
        at,
        request: SubmitRequest {
            seed: Some(draw.next() >> 11),
            think: if thinks { Think::Fast } else { Think::Off },
            priority: *draw.pick(&Priority::ALL),
            steps: canceled.then_some(LONG_STEPS),
            ..prompt(&format!("a {one} and a {other} no {number}{how}"))
        },
        key: keyed.then(|| key_of(number)),
        again: (keyed && draw.chance(12)).then(|| {
            *draw.pick(&[
                Duration::ZERO,
                Duration::from_millis(40),
                Duration::from_secs(4),
            ])
        }),
        cancel: canceled.then(|| draw.time(Duration::ZERO, Duration::from_millis(1_500))),
        watched: draw.chance(30),
        first: draw.below(COORDINATORS),
    }
}

/// The tenant that asks for the request of this number.
pub fn tenant_of(number: u32) -> usize {
    number as usize % TENANTS
}

/// Idempotency key of a number: tenants use the same ones and must not notice.
fn key_of(number: u32) -> String {
    format!("chaos-{}", number as usize / TENANTS)
}

/// Whether the request of this number kills workers.
pub fn is_poison(number: u32) -> bool {
    (POISON..IN_PLACE).contains(&number)
}

/// The number that a prompt holds.
pub fn number_of(prompt: &str) -> Option<u32> {
    let (_, after) = prompt.split_once(" no ")?;
    after.split(' ').next()?.parse().ok()
}

fn renumbered(prompt: &str, from: u32, to: u32) -> String {
    prompt.replacen(&format!(" no {from}"), &format!(" no {to}"), 1)
}
