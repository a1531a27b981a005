//! A large farm's day in small: every promise is kept, and without its precautions the same day goes wrong.

use atelier_simulate::large::{Config, Day, simulate};

fn small() -> Config {
    Config {
        workers: 50,
        requests: 20_000,
        ..Config::plain()
    }
}

fn day(config: &Config) -> Day {
    simulate(config, |_| {})
}

/// 99 of 100 requests of the class and these tenants begin within so many seconds.
fn p99_s(day: &Day, class: &str, tenants: &str) -> f64 {
    let wait = day
        .queue
        .iter()
        .find(|w| w.class == class && w.tenants == tenants);
    wait.expect("the day has requests of each class")
        .percentiles
        .p99_s
}

#[test]
fn a_day_with_faults_and_a_burst_keeps_every_promise() {
    let day = day(&small());
    println!("{day}");
    let tally = &day.tally;
    assert!(day.is_sound(), "{day}");
    assert_eq!(
        tally.accepted,
        tally.succeeded + tally.failed + tally.canceled
    );
    assert_eq!(tally.accepted, 20_000);
    assert!(
        tally.deaths > 0 && tally.wiped > 0 && tally.leases > 0 && tally.late > 0,
        "the day had its faults: {tally:?}"
    );
    assert!(day.shares.jain > 0.85, "{day}");
    // A job takes a minute.
    assert!(p99_s(&day, "interactive", "all") < 60.0, "{day}");
    assert!(p99_s(&day, "normal", "the others") < 120.0, "{day}");
    assert!(p99_s(&day, "normal", "the burst") > 3_600.0, "{day}");
}

#[test]
fn the_same_seed_is_the_same_day() {
    let config = Config {
        workers: 10,
        requests: 2_000,
        ..Config::plain()
    };
    let told =
        |config: &Config| serde_json::to_value(day(config).queue).expect("numbers and words");
    assert_eq!(told(&config), told(&config));
    let other = Config {
        seed: 2,
        ..config.clone()
    };
    assert_ne!(told(&config), told(&other));
}

#[test]
fn without_fairness_the_burst_is_everybodys() {
    let fair = day(&small());
    let unfair = day(&Config {
        without_fairness: true,
        ..small()
    });
    assert!(unfair.shares.jain + 0.3 < fair.shares.jain, "{unfair}");
    for class in ["interactive", "normal"] {
        let (with, without) = (
            p99_s(&fair, class, "the others"),
            p99_s(&unfair, class, "the others"),
        );
        assert!(without > 10.0 * with, "{class}: {with} s and {without} s");
    }
}

#[test]
fn without_the_sweep_what_was_in_the_stream_is_stuck() {
    let day = day(&Config {
        without_sweep: true,
        ..small()
    });
    assert!(day.tally.stuck > 0 && !day.is_sound(), "{day}");
    assert_eq!(day.tally.lost, 0, "stuck, but not lost: {day}");
}
