use std::{convert::Infallible, time::Instant};

use super::*;

#[tokio::test]
async fn ends_with_success_when_every_task_finishes() {
    let life = Lifecycle::new(Duration::from_secs(5));
    let soft = life.soft();
    life.spawn("finishes", async move {
        soft.cancelled().await;
        Ok::<(), Infallible>(())
    });
    life.stop();
    assert_eq!(life.run().await, ExitCode::SUCCESS);
}

#[tokio::test]
async fn an_error_or_a_panic_of_a_task_ends_the_process_with_failure() {
    let life = Lifecycle::new(Duration::from_secs(5));
    life.spawn("fails", async { Err("no reason") });
    assert_eq!(life.run().await, ExitCode::FAILURE);

    let life = Lifecycle::new(Duration::from_secs(5));
    life.spawn("panics", async {
        if true {
            panic!("on purpose");
        }
        Ok::<(), Infallible>(())
    });
    assert_eq!(life.run().await, ExitCode::FAILURE);
}

#[tokio::test]
async fn tells_late_tasks_to_stop_after_the_grace() {
    let life = Lifecycle::new(Duration::from_millis(50));
    let hard = life.hard();
    life.track(async move { hard.cancelled().await });
    life.stop();
    let start = Instant::now();
    assert_eq!(life.run().await, ExitCode::SUCCESS);
    assert!(start.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn the_first_failure_says_the_exit_code() {
    let life = Lifecycle::new(Duration::from_secs(5));
    life.fail_with(3);
    life.fail();
    assert_eq!(life.run().await, ExitCode::from(3));
}
