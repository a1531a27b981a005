//! Processes are killed while they work, messages are lost, doubled and forged: every picture still comes, once.
//!
//! The tests play the supervisor that starts again what was killed; nothing else helps.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use atelier_proto::{
    ArtifactRef, JobId, MediaType, RequestId, Sha256, WorkerId, decode, encode,
    http::{RequestState, RequestView, SubmitRequest},
    job::{JobKind, Priority, Size, Think},
    report::{Outcome, Report, ReportAnswer, ReportAnswers, Reports},
    signal::Cancel,
    subject::Names,
};
use atelier_tests::{Api, Coordinator, Options, Sandbox, Wire, Worker, prompt, sha256};
use futures::StreamExt;

/// Much longer than anything here takes, for a machine that is busy.
const LONG: Duration = Duration::from_secs(90);
/// A silent worker is given up after this.
const LEASE: [&str; 2] = ["--lease-ms", "1500"];

struct Farm {
    coordinator: Coordinator,
    worker: Worker,
    // Last, so that its servers outlive the programs.
    sandbox: Sandbox,
}

impl Farm {
    async fn start() -> Result<Self> {
        let sandbox = Sandbox::with(Options {
            own_nats: true,
            ..Options::default()
        })
        .await?;
        Ok(Self {
            coordinator: sandbox.coordinator("coordinator", &LEASE)?,
            worker: sandbox.worker("worker", &[])?,
            sandbox,
        })
    }

    fn api(&self) -> &Api {
        &self.coordinator.api
    }

    /// The request's picture, after checking that it came exactly once and is what it says it is.
    async fn delivered_once(&self, id: RequestId) -> Result<RequestView> {
        let view = match self.api().succeeded(id, LONG).await {
            Ok(view) => view,
            Err(error) => {
                let programs = [&self.coordinator.program, &self.worker.program];
                let logs: Vec<String> = programs.map(|program| program.log_tail()).into();
                return Err(error.context(logs.join("\n")));
            }
        };
        let picture = self.api().picture(id).await?;
        let named = view.image.context("a success has a picture")?;
        ensure!(
            named.sha256 == sha256(&picture),
            "the picture's bytes do not match its name"
        );
        let trace = self.api().trace(id).await?;
        ensure!(trace.image == Some(named) && trace.state == RequestState::Succeeded);
        let mut work: Vec<_> = view
            .jobs
            .iter()
            .map(|job| (job.kind, job.round, job.stage.clone()))
            .collect();
        let all = work.len();
        work.sort();
        work.dedup();
        ensure!(
            work.len() == all,
            "the same work is there twice: {:#?}",
            view.jobs
        );
        ensure!(
            view.jobs.iter().all(|job| job.state == "done"),
            "{:#?}",
            view.jobs
        );
        Ok(view)
    }

    /// A request that draws for seconds, in the middle of it.
    async fn drawing(&self) -> Result<RequestId> {
        let slow = SubmitRequest {
            steps: Some(8),
            ..prompt("a cat and a radio [slow:250]")
        };
        let id = self.api().submit(&slow).await?.id;
        self.first_step(id).await?;
        Ok(id)
    }

    /// Waits for a sign of the render job's first steps.
    async fn first_step(&self, id: RequestId) -> Result<()> {
        let client = async_nats::connect(&self.sandbox.nats_url).await?;
        let mut progress = client.subscribe(self.names()?.progress(id)).await?;
        let drawing = async {
            while let Some(message) = progress.next().await {
                let step = decode::<atelier_proto::signal::Progress>(&message.payload)?.body;
                if step.kind == JobKind::Render {
                    return Ok(());
                }
            }
            anyhow::bail!("the progress ended")
        };
        tokio::time::timeout(LONG, drawing)
            .await
            .context("it never drew")?
    }

    fn names(&self) -> Result<Names> {
        Ok(Names::new(&self.sandbox.prefix)?)
    }
}

fn render_attempts(view: &RequestView) -> u32 {
    view.jobs
        .iter()
        .find(|job| job.kind == JobKind::Render)
        .map_or(0, |job| job.attempt)
}

#[tokio::test]
async fn a_worker_dies_while_it_draws() -> Result<()> {
    let mut farm = Farm::start().await?;
    let id = farm.drawing().await?;
    farm.worker.program.kill()?;
    farm.worker.restart()?;
    let view = farm.delivered_once(id).await?;
    assert_eq!(
        render_attempts(&view),
        2,
        "the drawing was lost with its worker"
    );
    Ok(())
}

#[tokio::test]
async fn a_coordinator_dies_while_a_worker_draws() -> Result<()> {
    let mut farm = Farm::start().await?;
    let id = farm.drawing().await?;
    farm.coordinator.program.kill()?;
    farm.coordinator.restart()?;
    let view = farm.delivered_once(id).await?;
    assert_eq!(
        render_attempts(&view),
        1,
        "the worker went on drawing and nothing was drawn again"
    );
    Ok(())
}

#[tokio::test]
async fn nats_dies_and_loses_everything_while_a_worker_draws() -> Result<()> {
    let farm = Farm::start().await?;
    let id = farm.drawing().await?;
    // These wait in the stream, and are lost with it.
    let mut waiting = Vec::new();
    for seed in 0..5 {
        let request = SubmitRequest {
            seed: Some(seed),
            ..prompt("a dog")
        };
        waiting.push(farm.api().submit(&request).await?.id);
    }
    farm.sandbox.wipe_nats()?;
    farm.delivered_once(id).await?;
    for id in waiting {
        farm.delivered_once(id).await?;
    }
    Ok(())
}

#[tokio::test]
async fn everything_dies_right_after_requests_were_accepted() -> Result<()> {
    let mut farm = Farm::start().await?;
    let mut accepted = Vec::new();
    for seed in 0..12 {
        let request = SubmitRequest {
            seed: Some(seed),
            ..prompt("a cat and a radio [slow:30]")
        };
        accepted.push(farm.api().submit(&request).await?.id);
    }
    farm.coordinator.program.kill()?;
    farm.worker.program.kill()?;
    farm.sandbox.wipe_nats()?;
    farm.worker.restart()?;
    farm.coordinator.restart()?;
    for id in accepted {
        farm.delivered_once(id).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_worker_that_hangs_is_given_up_and_its_late_report_changes_nothing() -> Result<()> {
    let farm = Farm::start().await?;
    let id = farm.drawing().await?;
    farm.worker.program.freeze()?;
    let _second = farm.sandbox.worker("second", &[])?;
    let view = farm.delivered_once(id).await?;
    assert!(render_attempts(&view) >= 2);
    farm.worker.program.resume()?;
    // It finishes its drawing and reports it; then it is free to do this one, which says that it is past that.
    let next = farm.api().submit(&prompt("a dog")).await?.id;
    farm.delivered_once(next).await?;
    assert_eq!(farm.api().view(id).await?, view);
    Ok(())
}

/// A request whose single step takes much longer than a lease: only the worker's signs of life keep it.
async fn drawing_silently(farm: &Farm) -> Result<RequestId> {
    let long = SubmitRequest {
        steps: Some(2),
        think: Think::Off,
        ..prompt("a cat [slow:4000]")
    };
    let id = farm.api().submit(&long).await?.id;
    let held = "SELECT EXISTS (SELECT FROM jobs WHERE request_id = $1 AND worker_id IS NOT NULL)";
    let mut database = farm.sandbox.database().await?;
    let known = async {
        while !sqlx::query_scalar(held)
            .bind(id.as_uuid())
            .fetch_one(&mut database)
            .await?
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(LONG, known).await??;
    Ok(id)
}

/// The picture came from the first attempt, and no worker is held responsible for anything.
async fn drawn_once(farm: &Farm, id: RequestId) -> Result<()> {
    let view = farm.delivered_once(id).await?;
    assert_eq!(render_attempts(&view), 1, "the worker lived all along");
    let mut database = farm.sandbox.database().await?;
    let blamed: i64 = sqlx::query_scalar("SELECT count(*) FROM jobs WHERE dead_workers <> '{}'")
        .fetch_one(&mut database)
        .await?;
    assert_eq!(blamed, 0, "nobody fell silent");
    Ok(())
}

#[tokio::test]
async fn a_coordinator_that_hung_holds_its_own_silence_against_nobody() -> Result<()> {
    let farm = Farm::start().await?;
    let id = drawing_silently(&farm).await?;
    farm.coordinator.program.freeze()?;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    farm.coordinator.program.resume()?;
    drawn_once(&farm, id).await
}

#[tokio::test]
async fn one_of_two_coordinators_hangs_and_the_other_hears_the_workers_all_the_same() -> Result<()>
{
    let farm = Farm::start().await?;
    let second = farm.sandbox.coordinator("second", &LEASE)?;
    let id = drawing_silently(&farm).await?;
    // Half of the signs of life go to it.
    second.program.freeze()?;
    drawn_once(&farm, id).await?;
    second.program.resume()
}

// A wire passes things on while programs are waited for.
#[tokio::test(flavor = "multi_thread")]
async fn the_database_hangs_for_longer_than_a_lease_and_nobody_is_blamed() -> Result<()> {
    let mut sandbox = Sandbox::with(Options::default()).await?;
    let direct = sandbox.database_url.clone();
    let port = direct
        .rsplit_once(':')
        .and_then(|(_, rest)| rest.split_once('/'))
        .context("the port of PostgreSQL")?
        .0;
    let wire = Wire::to(port.parse()?).await?;
    sandbox.database_url = direct.replace(&format!(":{port}/"), &format!(":{}/", wire.port()));
    let coordinator = sandbox.coordinator("coordinator", &LEASE)?;
    // The test itself does not look through the wire.
    sandbox.database_url = direct;
    let farm = Farm {
        coordinator,
        worker: sandbox.worker("worker", &[])?,
        sandbox,
    };
    let id = drawing_silently(&farm).await?;
    wire.hold();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    wire.release();
    drawn_once(&farm, id).await
}

#[tokio::test]
async fn the_last_message_of_a_calm_day_is_lost_and_missed() -> Result<()> {
    let mut farm = Farm::start().await?;
    farm.worker.program.kill()?;
    let direct = SubmitRequest {
        think: Think::Off,
        ..prompt("a dog")
    };
    let id = farm.api().submit(&direct).await?.id;
    // It is written down where the message is; from then on it is believed to wait there.
    let mut database = farm.sandbox.database().await?;
    let place = "SELECT stream_sequence FROM jobs WHERE request_id = $1";
    let noted = async {
        loop {
            let sequence: Option<i64> = sqlx::query_scalar(place)
                .bind(id.as_uuid())
                .fetch_one(&mut database)
                .await?;
            match sequence {
                Some(sequence) => return anyhow::Ok(sequence.unsigned_abs()),
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let sequence = tokio::time::timeout(LONG, noted).await??;
    let client = async_nats::connect(&farm.sandbox.nats_url).await?;
    let stream = async_nats::jetstream::new(client)
        .get_stream(farm.names()?.jobs_stream())
        .await?;
    stream.delete_message(sequence).await?;
    farm.worker.restart()?;
    farm.delivered_once(id).await?;
    Ok(())
}

// A wire passes things on while programs are waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_that_nobody_heard_is_told_again() -> Result<()> {
    let mut sandbox = Sandbox::with(Options::default()).await?;
    let coordinator = sandbox.coordinator("coordinator", &LEASE)?;
    let direct = sandbox.nats_url.clone();
    let (_, port) = direct.rsplit_once(':').context("the port of NATS")?;
    let wire = Wire::to(port.parse()?).await?;
    sandbox.nats_url = format!("nats://127.0.0.1:{}", wire.port());
    let worker = sandbox.worker("worker", &[])?;
    sandbox.nats_url.clone_from(&direct);
    let farm = Farm {
        coordinator,
        worker,
        sandbox,
    };
    let endless = SubmitRequest {
        steps: Some(200),
        ..prompt("a cat [slow:200]")
    };
    let id = farm.api().submit(&endless).await?.id;
    farm.first_step(id).await?;
    let client = async_nats::connect(&direct).await?;
    let mut progress = client.subscribe(farm.names()?.progress(id)).await?;
    // It is away just when the signal is given, and back at once.
    wire.hold();
    wire.cut();
    farm.api().cancel(id).await?;
    wire.release();
    // Forty seconds of work would be left.
    let still = async {
        let until = tokio::time::Instant::now() + Duration::from_secs(20);
        let quiet = Duration::from_secs(3);
        while tokio::time::timeout(quiet, progress.next()).await.is_ok() {
            ensure!(tokio::time::Instant::now() < until, "it draws on and on");
        }
        Ok(())
    };
    still.await?;
    // It was not silent because nobody heard it: it is there for the next one.
    let next = farm.api().submit(&prompt("a dog")).await?.id;
    farm.api()
        .succeeded(next, Duration::from_secs(20))
        .await
        .map(drop)
}

#[tokio::test]
async fn two_coordinators_share_the_work_and_one_is_enough() -> Result<()> {
    let mut farm = Farm::start().await?;
    let second = farm.sandbox.coordinator("second", &LEASE)?;
    let mut accepted = Vec::new();
    for (seed, api) in (0..10).zip([farm.api(), &second.api].into_iter().cycle()) {
        let request = SubmitRequest {
            seed: Some(seed),
            ..prompt("a cat [slow:40]")
        };
        accepted.push(api.submit(&request).await?.id);
    }
    let other = farm.coordinator.api.clone();
    farm.coordinator.program.kill()?;
    farm.coordinator.api = second.api.clone();
    for id in accepted {
        farm.delivered_once(id).await?;
    }
    assert!(
        other.view(RequestId::at(0, [0; 10])).await.is_err(),
        "the dead one answers"
    );
    Ok(())
}

#[tokio::test]
async fn a_job_that_kills_its_workers_is_parked_and_takes_no_other_along() -> Result<()> {
    let mut farm = Farm::start().await?;
    let mut healthy = Vec::new();
    let mut poison = None;
    for seed in 0..6 {
        if seed == 2 {
            let deadly = prompt("a cat [abort:render]");
            poison = Some(farm.api().submit(&deadly).await?.id);
        }
        let request = SubmitRequest {
            seed: Some(seed),
            ..prompt("a dog [slow:50]")
        };
        healthy.push(farm.api().submit(&request).await?.id);
    }
    let poison = poison.context("submitted in between")?;
    let supervised = async {
        loop {
            let view = farm.coordinator.api.view(poison).await?;
            if view.state.is_terminal() {
                return anyhow::Ok(view);
            }
            if !farm.worker.program.is_running() {
                farm.worker.restart_dead()?;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let view = tokio::time::timeout(LONG, supervised)
        .await
        .context("it was never parked")??;
    assert_eq!(view.state, RequestState::Failed, "{view:#?}");
    assert_eq!(
        render_attempts(&view),
        2,
        "one worker may have died of something else, and both deaths were told of"
    );
    let reason = view.reason.unwrap_or_default();
    assert!(reason.contains("2 different workers"), "{reason}");
    // What the dying workers held beside it is not blamed: the others keep their plans and get their pictures.
    let mut database = farm.sandbox.database().await?;
    for id in healthy {
        farm.delivered_once(id).await?;
        let failures: i64 =
            sqlx::query_scalar("SELECT sum(failures) FROM jobs WHERE request_id = $1")
                .bind(id.as_uuid())
                .fetch_one(&mut database)
                .await?;
        assert_eq!(failures, 0, "{id} was blamed");
    }
    Ok(())
}

#[tokio::test]
async fn doubled_and_forged_reports_change_nothing() -> Result<()> {
    let farm = Farm::start().await?;
    let client = async_nats::connect(&farm.sandbox.nats_url).await?;
    let mut reports = client.subscribe(farm.names()?.all_reports()).await?;
    client.flush().await?;
    let id = farm.api().submit(&prompt("a cat and a radio")).await?.id;
    let view = farm.delivered_once(id).await?;
    let mut seen = Vec::new();
    while seen.len() < view.jobs.len() {
        let message = tokio::time::timeout(LONG, reports.next())
            .await?
            .context("the reports ended")?;
        seen.push((message.subject, message.payload));
    }
    drop(reports);
    let answer = async |subject: async_nats::Subject, bytes: Vec<u8>| -> Result<ReportAnswer> {
        let answer = client.request(subject, bytes.into()).await?;
        Ok(decode::<ReportAnswer>(&answer.payload)?.body)
    };
    // All of them once more, together.
    let all = Reports {
        reports: seen.iter().map(|(_, bytes)| bytes.clone()).collect(),
    };
    let reports = farm.names()?.reports(JobKind::Plan);
    let again = client.request(reports, encode(&all, None).into()).await?;
    let again = decode::<ReportAnswers>(&again.payload)?.body.answers;
    assert_eq!(again.len(), seen.len());
    assert!(!again.contains(&ReportAnswer::Refused), "{again:?}");
    for (subject, bytes) in seen {
        // The same bytes once more.
        let again = answer(subject.clone(), bytes.to_vec()).await?;
        assert_ne!(again, ReportAnswer::Refused, "{subject}");
        let report = decode::<Report>(&bytes)?.body;
        for attempt in [0, report.attempt, report.attempt + 1, u32::MAX] {
            let forged = Report {
                attempt,
                outcome: Outcome::Rendered {
                    image: ArtifactRef {
                        sha256: Sha256([7; 32]),
                        bytes: 1,
                        media_type: MediaType::Png,
                    },
                    size: Size {
                        width: 1,
                        height: 1,
                    },
                    steps: 1,
                    references: Vec::new(),
                    kept: None,
                },
                ..report.clone()
            };
            let given = answer(subject.clone(), encode(&forged, None)).await?;
            assert_ne!(
                given,
                ReportAnswer::Committed,
                "attempt {attempt} of {subject}"
            );
        }
    }
    assert_eq!(farm.api().view(id).await?, view);
    Ok(())
}

#[tokio::test]
async fn rubbish_on_every_subject_stops_nobody() -> Result<()> {
    let mut farm = Farm::start().await?;
    let names = farm.names()?;
    let client = async_nats::connect(&farm.sandbox.nats_url).await?;
    let worker = WorkerId::at(0, [1; 10]);
    let request = RequestId::at(0, [2; 10]);
    let mut subjects = vec![
        names.progress(request),
        names.cancel(),
        names.heartbeat(worker),
    ];
    for kind in JobKind::ALL {
        subjects.extend([names.report(kind), names.reports(kind)]);
        for priority in Priority::ALL {
            subjects.push(names.job(kind, "atelier-mini", priority));
        }
    }
    let stranger = Report {
        job: JobId::at(0, [3; 10]),
        attempt: 1,
        request,
        worker,
        sources: None,
        device_ms: u64::MAX,
        batch: 1,
        outage: false,
        made: None,
        outcome: Outcome::Returned,
    };
    let newer = [0x81, 0xa1, b'v', 0xcd, 0xff, 0xff];
    let valid_elsewhere = encode(&Cancel { request }, None);
    let pieces: [Vec<u8>; 7] = [
        Vec::new(),
        vec![0xc1],
        vec![0x91; 5_000],
        b"{\"v\":1}".to_vec(),
        newer.to_vec(),
        valid_elsewhere,
        encode(&stranger, None),
    ];
    for subject in &subjects {
        for piece in &pieces {
            client
                .publish(subject.clone(), piece.clone().into())
                .await?;
        }
    }
    client.flush().await?;
    for seed in 0..3 {
        let drawn = SubmitRequest {
            seed: Some(seed),
            think: if seed == 0 { Think::Off } else { Think::Fast },
            ..prompt("a cat")
        };
        let id = farm.api().submit(&drawn).await?.id;
        farm.delivered_once(id).await?;
    }
    assert!(farm.coordinator.program.is_running() && farm.worker.program.is_running());
    Ok(())
}

#[tokio::test]
async fn a_worker_told_to_stop_gives_back_what_it_holds() -> Result<()> {
    let mut farm = Farm::start().await?;
    let endless = SubmitRequest {
        steps: Some(200),
        ..prompt("a cat [slow:100]")
    };
    let id = farm.api().submit(&endless).await?.id;
    farm.first_step(id).await?;
    let status = farm.worker.program.terminate(Duration::from_secs(40))?;
    assert!(
        status.success(),
        "{status}:\n{}",
        farm.worker.program.log_tail()
    );
    let waits = |view: &RequestView| {
        view.jobs
            .iter()
            .any(|job| job.kind == JobKind::Render && job.state == "ready")
    };
    farm.api()
        .until(id, LONG, |view| waits(view) || render_attempts(view) > 1)
        .await?;
    farm.api().cancel(id).await?;
    Ok(())
}
