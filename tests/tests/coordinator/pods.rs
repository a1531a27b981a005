//! What Kubernetes is told of workers' pods. A server of the test is in its place: that Kubernetes takes the calls, and what it makes of them
//! when a pool shrinks, is not shown here.

use std::{fs, time::Duration};

use anyhow::{Context, Result};
use atelier_proto::job::{JobKind, Think};
use atelier_tests::{
    Coordinator, Sandbox,
    hand::{Hand, Taken},
    in_time, prompt,
};
use serde_json::json;

use crate::kubernetes::{ANOTHER, AUTHORITY, Answer, Kubernetes};

/// Longer than the longest wait between two tries.
const SOON: Duration = Duration::from_secs(70);

async fn named(sandbox: &Sandbox, name: &str) -> Result<Hand> {
    let mut hand = Hand::new(sandbox).await?;
    hand.name = name.to_owned();
    Ok(hand)
}

fn telling(sandbox: &Sandbox, name: &str, kubernetes: &Kubernetes) -> Result<Coordinator> {
    let account = kubernetes.account.display().to_string();
    let arguments = [
        "--pod-deletion-cost",
        "farm-pool-",
        "--kubernetes-api",
        &kubernetes.url,
        "--kubernetes-account",
        &account,
    ];
    sandbox.coordinator(name, &arguments)
}

/// A job in the hand, of a request of its own.
async fn taken(coordinator: &Coordinator, hand: &Hand) -> Result<Taken> {
    let mut direct = prompt("a cat");
    direct.think = Think::Off;
    coordinator.api.submit(&direct).await?;
    hand.next(JobKind::Render).await
}

/// Waits; meanwhile these say that they live, with what they hold.
async fn until(
    what: &str,
    hands: &[(&Hand, &[&Taken])],
    mut holds: impl FnMut() -> bool,
) -> Result<()> {
    let look = async || {
        for (hand, jobs) in hands {
            let offers: Vec<_> = jobs.iter().map(|job| &job.offer).collect();
            hand.beat(&offers).await?;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(holds())
    };
    in_time(what, SOON, look).await
}

/// How often a try ended so.
async fn counted(coordinator: &Coordinator, outcome: &str) -> Result<u64> {
    let metrics = coordinator.api.get("/metrics").await?.text().await?;
    let line = format!("atelier_pod_deletion_cost_writes_total{{outcome=\"{outcome}\"}} ");
    let value = metrics.lines().find_map(|l| l.strip_prefix(&line));
    Ok(value.context("it is shown")?.parse()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_is_told_how_many_jobs_it_holds_once_that_changes() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let kubernetes = Kubernetes::start(sandbox.folder()).await?;
    let one = telling(&sandbox, "one", &kubernetes)?;
    let (busy, idle) = ("farm-pool-gpu-7d9c6b-x2x4v", "farm-pool-gpu-7d9c6b-9kq2p");
    let (full, empty) = (named(&sandbox, busy).await?, named(&sandbox, idle).await?);
    // Whoever may speak on NATS chooses its name.
    let stranger = named(&sandbox, "farm-coordinator-1").await?;
    let climber = named(&sandbox, "farm-pool-../../secrets/x").await?;
    let query = named(&sandbox, "farm-pool-a?dryRun=All").await?;
    let jobs = [taken(&one, &full).await?, taken(&one, &full).await?];
    let [first, second] = &jobs;
    let all: [(&Hand, &[&Taken]); 5] = [
        (&full, &[first, second]),
        (&empty, &[]),
        (&stranger, &[]),
        (&climber, &[]),
        (&query, &[]),
    ];
    until("both are told", &all, || kubernetes.calls().len() == 2).await?;
    assert_eq!(kubernetes.costs(busy), ["2"]);
    assert_eq!(kubernetes.costs(idle), ["0"]);
    for call in kubernetes.calls() {
        let header = |name: &str| call.headers.get(name).map(String::as_str);
        assert_eq!(header("authorization"), Some("Bearer first"));
        assert_eq!(header("content-type"), Some("application/merge-patch+json"));
        let metadata = call.body["metadata"].as_object().context("an object")?;
        assert_eq!(call.body, json!({"metadata": metadata}));
        assert_eq!(
            metadata.len(),
            1,
            "nothing but annotations changes: {metadata:?}"
        );
        assert_eq!(
            metadata["annotations"].as_object().map(|a| a.len()),
            Some(1)
        );
    }

    // Tokens are made anew every hour.
    fs::write(kubernetes.account.join("token"), "second")?;
    for job in jobs {
        let made = full.rendered(1).await?;
        full.finish(job, made).await?;
    }
    let third = taken(&one, &empty).await?;
    let all: [(&Hand, &[&Taken]); 2] = [(&full, &[]), (&empty, &[&third])];
    until("work is told", &all, || kubernetes.costs(idle).len() == 2).await?;
    assert_eq!(kubernetes.costs(idle), ["0", "1"]);
    assert_eq!(
        kubernetes.costs(busy),
        ["2"],
        "that it is over is told once it lasts"
    );
    until("rest is told", &all, || kubernetes.costs(busy).len() == 2).await?;
    assert_eq!(kubernetes.costs(busy), ["2", "0"]);
    let calls = kubernetes.calls();
    assert_eq!(calls.len(), 4, "what stays the same is not told: {calls:?}");
    assert_eq!(calls[3].headers["authorization"], "Bearer second");
    assert_eq!(counted(&one, "written").await?, 4);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_coordinator_tells_and_another_one_goes_on() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let kubernetes = Kubernetes::start(sandbox.folder()).await?;
    let mut both = [
        telling(&sandbox, "one", &kubernetes)?,
        telling(&sandbox, "two", &kubernetes)?,
    ];
    let pods = ["farm-pool-a-1", "farm-pool-a-2", "farm-pool-b-1"];
    let mut hands = Vec::new();
    for pod in pods {
        hands.push(named(&sandbox, pod).await?);
    }
    let job = taken(&both[0], &hands[0]).await?;
    let all: [(&Hand, &[&Taken]); 3] = [(&hands[0], &[&job]), (&hands[1], &[]), (&hands[2], &[])];
    let told = |times: usize| pods.iter().all(|pod| kubernetes.costs(pod).len() == times);
    until("all are told", &all, || told(1)).await?;
    // Longer than the other one needs for a look.
    let started = std::time::Instant::now();
    let rest = || started.elapsed() > Duration::from_secs(7);
    until("nothing changes", &all, rest).await?;
    assert_eq!(kubernetes.calls().len(), 3, "{:?}", kubernetes.calls());

    let mut telling = 0;
    for (index, coordinator) in both.iter().enumerate() {
        if counted(coordinator, "written").await? == 3 {
            telling = index;
        }
    }
    both[telling].program.kill()?;
    // It does not know what the other one wrote last.
    until("the other one goes on", &all, || told(2)).await?;
    assert_eq!(kubernetes.costs(pods[0]), ["1", "1"]);
    // Counted once the answer is there, which is after the call was seen.
    in_time("all are counted", SOON, async || {
        Ok(counted(&both[1 - telling], "written").await? == 3)
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kubernetes_does_not_take_is_counted_and_stops_nothing() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let kubernetes = Kubernetes::start(sandbox.folder()).await?;
    kubernetes.answer(Answer::Status(403));
    let one = telling(&sandbox, "one", &kubernetes)?;
    let pod = "farm-pool-gpu-1";
    let hand = named(&sandbox, pod).await?;
    let alone: [(&Hand, &[&Taken]); 1] = [(&hand, &[])];
    until("it is tried again", &alone, || {
        kubernetes.calls().len() == 2
    })
    .await?;
    let trouble = || one.program.log().matches("pods are not told").count();
    until("it is logged", &alone, || trouble() > 0).await?;
    assert_eq!(trouble(), 1, "once: {}", one.program.log());
    // Work goes on.
    let job = taken(&one, &hand).await?;
    let request = job.offer.request;
    hand.finish(job, hand.rendered(1).await?).await?;
    one.api.succeeded(request, Duration::from_secs(5)).await?;

    kubernetes.answer(Answer::Nothing);
    until("it hangs", &alone, || kubernetes.calls().len() == 3).await?;
    until("that is logged, too", &alone, || trouble() == 2).await?;
    kubernetes.answer(Answer::Status(404));
    until("it is tried once more", &alone, || {
        kubernetes.calls().len() == 4
    })
    .await?;
    kubernetes.answer(Answer::Status(200));
    let other = named(&sandbox, "farm-pool-gpu-2").await?;
    let all: [(&Hand, &[&Taken]); 2] = [(&hand, &[]), (&other, &[])];
    until("another pod is told", &all, || {
        kubernetes.costs("farm-pool-gpu-2") == ["0"]
    })
    .await?;
    assert_eq!(
        kubernetes.costs(pod).len(),
        4,
        "what is no pod is left alone"
    );
    for (outcome, times) in [("refused", 2), ("failed", 1), ("gone", 1), ("written", 1)] {
        assert_eq!(counted(&one, outcome).await?, times, "{outcome}");
    }
    assert!(one.program.log().contains("pods are told again"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_goes_to_nobody_but_kubernetes() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let kubernetes = Kubernetes::start(sandbox.folder()).await?;
    let authority = kubernetes.account.join("ca.crt");
    fs::write(&authority, ANOTHER)?;
    let one = telling(&sandbox, "one", &kubernetes)?;
    let hand = named(&sandbox, "farm-pool-gpu-1").await?;
    let alone: [(&Hand, &[&Taken]); 1] = [(&hand, &[])];
    let trouble = || one.program.log().contains("pods are not told");
    until("it is not believed", &alone, trouble).await?;
    assert_eq!(counted(&one, "failed").await?, 1);
    assert_eq!(kubernetes.calls().len(), 0);
    fs::write(&authority, AUTHORITY)?;
    until("it is believed", &alone, || kubernetes.calls().len() == 1).await?;
    Ok(())
}
