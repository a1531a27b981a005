//! What nobody should send: each line of the tables is refused with the error that stands beside it, which the API's own document
//! describes, and afterwards the farm still draws a picture.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use atelier_cli::servers::free_port;
use atelier_proto::{
    JobId, RequestId, decode, encode,
    envelope::VERSION,
    http::{
        ErrorBody, MAX_PROMPT_BYTES, MAX_REFERENCE_BYTES, MAX_REFERENCES, RequestState,
        SubmitRequest,
    },
    job::{JobKind, Priority, Think},
    object_key,
    plan::{Plan, Stage, StageOp},
    report::{MOST_TOGETHER, Outcome, ReportAnswer, ReportAnswers, Reports},
    signal::Heartbeat,
    subject::Names,
};
use atelier_tests::{Api, Sandbox, Worker, in_time, prompt};
use futures::StreamExt;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use uuid::Uuid;

use atelier_tests::hand::{Hand, day_and_night};

/// How long anything may take on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// A farm, to be fed and to be asked afterwards whether it lives.
struct Fed {
    sandbox: Sandbox,
    coordinator: atelier_tests::Coordinator,
    worker: Option<Worker>,
    document: Value,
}

impl Fed {
    async fn start() -> Result<Self> {
        let sandbox = Sandbox::start().await?;
        // A second try would fail as the first one does.
        let coordinator = sandbox.coordinator("one", &["--max-failures", "1"])?;
        let document = coordinator.api.get("/openapi.json").await?.json().await?;
        Ok(Self {
            sandbox,
            coordinator,
            worker: None,
            document,
        })
    }

    fn api(&self) -> &Api {
        &self.coordinator.api
    }

    /// Asserts how a call of an operation is refused.
    async fn refuses(
        &self,
        (method, path): (&str, &str),
        call: RequestBuilder,
        (status, code): (u16, &str),
        what: &str,
    ) -> Result<()> {
        let answer = call.send().await.with_context(|| what.to_owned())?;
        let found = answer.status().as_u16();
        let text = answer.text().await?;
        let body: ErrorBody =
            serde_json::from_str(&text).with_context(|| format!("{what}: {found} {text}"))?;
        ensure!(
            (found, body.error.code.as_str()) == (status, code),
            "{what}: {found} {text}"
        );
        ensure!(!body.error.message.is_empty(), "{what}: no message");
        let described = format!(
            "/paths/{}/{method}/responses/{status}",
            path.replace('/', "~1")
        );
        let described = self.document.pointer(&described);
        let described = described
            .with_context(|| format!("{what}: {status} of {method} {path} is not described"))?;
        ensure!(
            described.to_string().contains(&format!("\"{code}\"")),
            "{what}: {code} is not described"
        );
        Ok(())
    }

    /// Whether the farm still does what it is for.
    async fn draws(&mut self) -> Result<()> {
        if self.worker.is_none() {
            self.worker = Some(self.sandbox.worker("worker", &[])?);
        }
        let request = self.api().submit(&prompt("a cat after all that")).await?;
        self.api().succeeded(request.id, SOON).await?;
        let picture = self.api().picture(request.id).await?;
        assert!(image::load_from_memory(&picture)?.width() > 0);
        Ok(())
    }
}

/// JSON that is nested so deep that a careless reader runs out of stack.
fn deep(levels: usize) -> String {
    format!("{}1{}", "{\"a\":[".repeat(levels), "]}".repeat(levels))
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_submits() -> Result<()> {
    let mut fed = Fed::start().await?;
    let sized = |width: u64, height: u64| {
        json!({"prompt": "x", "size": {"width": width, "height": height}}).to_string()
    };
    let with_reference = |name: &str, data: &str| {
        json!({"prompt": "x", "references": [{"name": name, "data": data}]}).to_string()
    };
    let invalid = (422, "invalid");
    let no_json = (400, "invalid_json");
    let cases: Vec<(&str, Vec<u8>, (u16, &str))> = vec![
        (
            "an oversized prompt",
            json!({"prompt": "x".repeat(MAX_PROMPT_BYTES + 1)})
                .to_string()
                .into(),
            invalid,
        ),
        (
            "an empty prompt",
            json!({"prompt": "  "}).to_string().into(),
            invalid,
        ),
        (
            "a prompt with a NUL",
            json!({"prompt": "a\0b"}).to_string().into(),
            invalid,
        ),
        ("no width", sized(0, 64).into(), invalid),
        ("no height", sized(64, 0).into(), invalid),
        ("a huge width", sized(1 << 20, 64).into(), invalid),
        ("a width beyond 32 bits", sized(1 << 40, 64).into(), no_json),
        ("an odd size", sized(65, 64).into(), invalid),
        (
            "a negative size",
            r#"{"prompt": "x", "size": {"width": -64, "height": 64}}"#.into(),
            no_json,
        ),
        ("no steps", r#"{"prompt": "x", "steps": 0}"#.into(), invalid),
        (
            "too many steps",
            r#"{"prompt": "x", "steps": 4000000000}"#.into(),
            invalid,
        ),
        (
            "no rounds",
            r#"{"prompt": "x", "max_rounds": 0}"#.into(),
            invalid,
        ),
        (
            "a seed that is no number",
            r#"{"prompt": "x", "seed": "7"}"#.into(),
            no_json,
        ),
        (
            "a negative seed",
            r#"{"prompt": "x", "seed": -1}"#.into(),
            no_json,
        ),
        (
            "a seed beyond 64 bits",
            r#"{"prompt": "x", "seed": 18446744073709551616}"#.into(),
            no_json,
        ),
        (
            "an unknown priority",
            r#"{"prompt": "x", "priority": "now"}"#.into(),
            no_json,
        ),
        (
            "an unknown field",
            r#"{"prompt": "x", "colour": 1}"#.into(),
            no_json,
        ),
        (
            "an unknown field inside",
            r#"{"prompt": "x", "references": [{"name": "a", "data": "", "size": 1}]}"#.into(),
            no_json,
        ),
        (
            "a field twice",
            r#"{"prompt": "x", "prompt": "y"}"#.into(),
            no_json,
        ),
        ("not UTF-8", b"{\"prompt\": \"\xff\xfe\"}".to_vec(), no_json),
        (
            "half a surrogate",
            br#"{"prompt": "\ud800"}"#.to_vec(),
            no_json,
        ),
        ("half a body", br#"{"prompt": "x"#.to_vec(), no_json),
        (
            "two bodies",
            r#"{"prompt": "x"}{"prompt": "y"}"#.into(),
            no_json,
        ),
        ("nothing", Vec::new(), no_json),
        ("no object", b"[]".to_vec(), no_json),
        ("deep nesting", deep(100_000).into(), no_json),
        (
            "deep nesting in a field",
            format!(r#"{{"prompt": "x", "seed": {}}}"#, deep(10_000)).into(),
            no_json,
        ),
        (
            "a picture that is none",
            with_reference("cat", "AAAA").into(),
            invalid,
        ),
        (
            "a picture that is no base64",
            with_reference("cat", "!").into(),
            invalid,
        ),
        (
            "a name with a line break",
            with_reference("a\nb", "AAAA").into(),
            invalid,
        ),
    ];
    for (what, body, refusal) in cases {
        let call = fed
            .api()
            .call(Method::POST, "/v1/requests")
            .header("content-type", "application/json")
            .body(body);
        fed.refuses(("post", "/v1/requests"), call, refusal, what)
            .await?;
    }
    // One byte over what a submit may have, and one less; blanks between the parts of a body mean nothing.
    let most = MAX_REFERENCES * MAX_REFERENCE_BYTES / 3 * 4 + (1 << 20);
    let padded = |length: usize| {
        let (begin, end) = (r#"{"prompt": "x""#, "}");
        let blanks = " ".repeat(length - begin.len() - end.len());
        format!("{begin}{blanks}{end}")
    };
    let long = |length| {
        fed.api()
            .call(Method::POST, "/v1/requests")
            .header("content-type", "application/json")
            .body(padded(length))
    };
    let refusal = (413, "too_large");
    let post = ("post", "/v1/requests");
    fed.refuses(post, long(most + 1), refusal, "a body that is too long")
        .await?;
    let taken = long(most).send().await?.status();
    ensure!(taken.is_success(), "a body of the longest length: {taken}");
    fed.draws().await
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_paths_and_queries() -> Result<()> {
    let mut fed = Fed::start().await?;
    let submit = |name: &str, value: &str| {
        let call = fed
            .api()
            .call(Method::POST, "/v1/requests")
            .json(&prompt("a cat"));
        call.header(name.to_owned(), value.to_owned())
    };
    let post = ("post", "/v1/requests");
    let cases = [
        (
            "an overlong idempotency key",
            submit("idempotency-key", &"k".repeat(256)),
            (422, "invalid"),
        ),
        (
            "an empty idempotency key",
            submit("idempotency-key", ""),
            (422, "invalid"),
        ),
        (
            "another content type",
            fed.api()
                .call(Method::POST, "/v1/requests")
                .header("content-type", "text/plain")
                .body("{}"),
            (415, "unsupported_media_type"),
        ),
        (
            "no content type",
            fed.api().call(Method::POST, "/v1/requests").body("{}"),
            (415, "unsupported_media_type"),
        ),
    ];
    for (what, call, refusal) in cases {
        fed.refuses(post, call, refusal, what).await?;
    }
    let nobody = RequestId::from_uuid(Uuid::now_v7());
    let get = |path: &str| fed.api().call(Method::GET, path);
    let of_nobody = [
        ("/v1/requests/{id}", "get", Method::GET),
        ("/v1/requests/{id}", "delete", Method::DELETE),
        ("/v1/requests/{id}/cancel", "post", Method::POST),
        ("/v1/requests/{id}/retry", "post", Method::POST),
        ("/v1/requests/{id}/image", "get", Method::GET),
        ("/v1/requests/{id}/trace", "get", Method::GET),
        ("/v1/requests/{id}/events", "get", Method::GET),
    ];
    for (path, word, method) in of_nobody.clone() {
        for (id, refusal) in [
            (nobody.to_string(), (404, "not_found")),
            ("cat".to_owned(), (400, "invalid_id")),
            ("%FF".to_owned(), (400, "invalid_id")),
            (format!("{nobody}%00"), (400, "invalid_id")),
        ] {
            let call = fed.api().call(method.clone(), &path.replace("{id}", &id));
            fed.refuses(
                (word, path),
                call,
                refusal,
                &format!("{word} {path} with {id}"),
            )
            .await?;
        }
    }
    for (query, refusal) in [
        ("limit=0", (422, "invalid")),
        ("limit=501", (422, "invalid")),
        ("limit=many", (400, "invalid_query")),
        ("before=cat", (400, "invalid_query")),
        ("page=2", (400, "invalid_query")),
    ] {
        let call = get(&format!("/v1/requests?{query}"));
        fed.refuses(("get", "/v1/requests"), call, refusal, query)
            .await?;
    }
    let image = "/v1/requests/{id}/image";
    for query in ["redirect=yes", "redirect=256", "traced=yes", "size=2"] {
        let called = image.replace("{id}", &nobody.to_string());
        let call = get(&format!("{called}?{query}"));
        fed.refuses(("get", image), call, (400, "invalid_query"), query)
            .await?;
    }
    // Without a key of this farm nothing is said about anything.
    let other = format!("atl_{}", "A".repeat(43));
    for key in [
        None,
        Some(""),
        Some("atl_"),
        Some("cat"),
        Some(&*other),
        Some(&*"k".repeat(4_096)),
    ] {
        let stranger = fed.api().with_key(key)?;
        let what = format!("key {key:?}");
        for (path, word, method) in &of_nobody {
            let call = stranger.call(method.clone(), &path.replace("{id}", &nobody.to_string()));
            fed.refuses((*word, *path), call, (401, "unauthorized"), &what)
                .await?;
        }
        let call = stranger
            .call(Method::POST, "/v1/requests")
            .json(&prompt("a cat"));
        fed.refuses(post, call, (401, "unauthorized"), &what)
            .await?;
        let call = stranger.call(Method::GET, "/v1/workers");
        fed.refuses(("get", "/v1/workers"), call, (401, "unauthorized"), &what)
            .await?;
    }
    // Headers of such a length are refused by the server below the API, which has no body to say so.
    let long = get("/v1/workers")
        .header("x-long", "x".repeat(1 << 20))
        .send()
        .await;
    // It closes the connection, and may do so before the answer is read.
    assert!(long.is_err() || long.is_ok_and(|answer| answer.status() == 431));
    let many = (0..500).fold(get("/v1/workers"), |call, index| {
        call.header(format!("x-{index}"), "1")
    });
    let many = many.send().await;
    assert!(many.is_err() || many.is_ok_and(|answer| answer.status() == 431));
    fed.draws().await
}

/// A message of a newer release.
fn newer() -> Vec<u8> {
    // {"v": VERSION + 1, "body": {}}
    vec![
        0x82,
        0xa1,
        b'v',
        (VERSION + 1) as u8,
        0xa4,
        b'b',
        b'o',
        b'd',
        b'y',
        0x80,
    ]
}

/// A good message, and what may become of it on its way.
fn spoiled(good: &[u8]) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = (0..good.len())
        .step_by(good.len() / 7)
        .map(|length| good[..length].to_vec())
        .collect();
    all.extend([
        b"rubbish".to_vec(),
        vec![0xc1; 64],
        vec![0x91; 100_000],
        newer(),
    ]);
    let reversed = good.iter().rev().copied().collect();
    all.push(reversed);
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_on_every_subject() -> Result<()> {
    let mut fed = Fed::start().await?;
    let address = format!("127.0.0.1:{}", free_port(None)?);
    let worker = ["--admin-listen", &address];
    let worker = fed.sandbox.worker("worker", &worker)?;
    fed.worker = Some(worker);
    let hand = Hand::new(&fed.sandbox).await?;
    let names = Names::new(&fed.sandbox.prefix)?;
    let client = async_nats::connect(&fed.sandbox.nats_url).await?;
    let golden = |name: &str| {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/fixtures/v1");
        std::fs::read(folder.join(format!("{name}.msgpack")))
    };
    let request = RequestId::from_uuid(Uuid::now_v7());
    let mut heartbeats = client.subscribe(names.all_heartbeats()).await?;
    let heard = tokio::time::timeout(SOON, heartbeats.next()).await?;
    let heard = heard.context("heartbeats end")?;
    let worker = decode::<Heartbeat>(&heard.payload)?.body.worker;
    drop(heartbeats);
    // Signals are not answered: those that cannot be read change nothing.
    for (subject, good) in [
        (names.progress(request), golden("progress")?),
        (names.heartbeat(hand.id), golden("heartbeat")?),
        (names.cancel(), golden("cancel")?),
        (names.quarantine(worker), golden("quarantine")?),
    ] {
        for message in spoiled(&good) {
            client.publish(subject.clone(), message.into()).await?;
        }
    }
    // A report that cannot be read is refused: sending it again is of no use.
    let report = golden("report_rendered")?;
    for message in spoiled(&report) {
        for kind in JobKind::ALL {
            let answer = client
                .request(names.report(kind), message.clone().into())
                .await?;
            let answer = decode::<ReportAnswer>(&answer.payload)?.body;
            assert_eq!(answer, ReportAnswer::Refused);
        }
    }
    // Of reports that come together and cannot be read none is answered, so that each comes alone.
    let together = golden("together_reports")?;
    let ask_together = async |kind, message: Vec<u8>| {
        let answer = client.request(names.reports(kind), message.into()).await?;
        anyhow::Ok(decode::<ReportAnswers>(&answer.payload)?.body.answers)
    };
    for message in spoiled(&together) {
        for kind in JobKind::ALL {
            assert_eq!(ask_together(kind, message.clone()).await?, []);
        }
    }
    // One among others that cannot be read is refused alone.
    let mut reports = decode::<Reports>(&together)?.body;
    reports.reports.insert(1, b"rubbish".as_slice().into());
    let answers = ask_together(JobKind::Render, encode(&reports, None)).await?;
    assert_eq!(answers.len(), 3);
    assert_eq!(answers[1], ReportAnswer::Refused);
    assert!(!answers.contains(&ReportAnswer::Committed), "{answers:?}");
    // So many never come together, nor does none.
    for number in [0, MOST_TOGETHER + 1] {
        let reports = vec![reports.reports[0].clone(); number];
        let answers = ask_together(JobKind::Render, encode(&Reports { reports }, None)).await?;
        assert_eq!(answers, []);
    }
    // One that can be read, of a job that never was, changes nothing.
    let answer = client
        .request(names.report(JobKind::Render), report.into())
        .await?;
    let answer = decode::<ReportAnswer>(&answer.payload)?.body;
    assert_ne!(answer, ReportAnswer::Committed);
    // An offer that cannot be read leaves the stream; one of a newer release is left to a newer worker.
    let jetstream = async_nats::jetstream::new(client.clone());
    for message in spoiled(&golden("offer_render")?) {
        let subject = names.job(
            JobKind::Render,
            atelier_tests::hand::MODEL,
            Priority::Normal,
        );
        jetstream.publish(subject, message.into()).await?.await?;
    }
    fed.draws().await?;
    let mut stream = jetstream.get_stream(names.jobs_stream()).await?;
    in_time("all but the one of a newer release", SOON, async || {
        Ok(stream.info().await?.state.messages <= 1)
    })
    .await?;
    assert_eq!(
        stream.info().await?.state.messages,
        1,
        "the one of a newer release"
    );
    // Each of them is counted, where it is read.
    let each = |name: &str| anyhow::Ok(spoiled(&golden(name)?).len());
    for (message, sent) in [
        ("cancel", each("cancel")?),
        ("heartbeat", each("heartbeat")?),
        ("progress", each("progress")?),
        (
            "report",
            (each("report_rendered")? + each("together_reports")?) * JobKind::ALL.len() + 3,
        ),
    ] {
        in_time(message, SOON, async || {
            let counted = fed.api().get("/metrics").await?.text().await?;
            let counter =
                format!("atelier_malformed_messages_total{{message=\"{message}\"}} {sent}\n");
            ensure!(counted.contains(&counter), "no {counter}in:\n{counted}");
            Ok(true)
        })
        .await?;
    }
    // The offer of a newer release is none that nobody can read.
    let sent = each("cancel")? + each("quarantine")? + each("offer_render")? - 1;
    let client = reqwest::Client::builder().no_proxy().build()?;
    in_time("the worker's", SOON, async || {
        let counted = client.get(format!("http://{address}/metrics"));
        let counted = counted.send().await?.text().await?;
        let counter = format!("atelier_worker_malformed_total {sent}\n");
        ensure!(counted.contains(&counter), "no {counter}in:\n{counted}");
        Ok(true)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_in_reports() -> Result<()> {
    let mut fed = Fed::start().await?;
    let hand = Hand::new(&fed.sandbox).await?;
    let edit = |id: &str, input: &str| Stage {
        id: id.into(),
        op: StageOp::Edit {
            input: input.into(),
            instruction: "otherwise".into(),
            strength: 0.5,
        },
    };
    let with = |change: &dyn Fn(&mut Plan)| {
        let mut plan = day_and_night(1);
        change(&mut plan);
        plan
    };
    let cases: [(&str, Plan); 8] = [
        (
            "cycle",
            with(&|plan| plan.stages = vec![edit("a", "b"), edit("b", "a")]),
        ),
        ("cycle", with(&|plan| plan.stages.push(edit("x", "x")))),
        (
            "does not exist",
            with(&|plan| plan.stages.push(edit("x", "nothing"))),
        ),
        (
            "read by no other",
            with(&|plan| plan.stages.push(edit("x", "day"))),
        ),
        ("read by no other", with(&|plan| plan.stages.clear())),
        (
            "used twice",
            with(&|plan| plan.stages.push(edit("day", "night"))),
        ),
        (
            "allowed",
            with(&|plan| {
                plan.stages
                    .extend((0..9).map(|n| edit(&format!("s{n}"), "day")))
            }),
        ),
        ("version", with(&|plan| plan.version = 2)),
    ];
    for (reason, plan) in cases {
        let request = fed.api().submit(&prompt("a city")).await?;
        // Each try is a failed attempt, until the prompt itself is drawn.
        let deadline = Instant::now() + SOON;
        let drawn = loop {
            ensure!(Instant::now() < deadline, "{reason}: nothing is drawn");
            let drawn = hand.take(JobKind::Render, Duration::from_millis(200));
            let planned = hand.take(JobKind::Plan, Duration::from_millis(400));
            if let Ok(job) = planned.await {
                hand.finish(job, hand.planned(plan.clone()).await?).await?;
            } else if let Ok(job) = drawn.await {
                break job;
            }
        };
        assert_eq!(drawn.offer.request, request.id);
        hand.finish(drawn, hand.rendered(1).await?).await?;
        let view = fed.api().succeeded(request.id, SOON).await?;
        assert_eq!(view.jobs[0].state, "failed");
        let why = view.jobs[0].reason.as_deref().unwrap_or_default();
        assert!(why.contains(reason), "{why:?} does not say {reason:?}");
        assert_eq!(view.jobs.len(), 2, "no job was made of the plan");
    }
    fed.draws().await
}

#[tokio::test(flavor = "multi_thread")]
async fn artifacts_in_reports_and_reports_of_others() -> Result<()> {
    let mut fed = Fed::start().await?;
    let hand = Hand::new(&fed.sandbox).await?;
    let mut wanted = prompt("a cat");
    wanted.think = Think::Off;
    let request = fed.api().submit(&wanted).await?;
    let job = hand.next(JobKind::Render).await?;
    let good = hand.rendered(1).await?;
    let with = |change: &dyn Fn(&mut Outcome)| {
        let mut outcome = good.clone();
        change(&mut outcome);
        outcome
    };
    let image = |change: fn(&mut atelier_proto::ArtifactRef)| {
        with(&|outcome| {
            if let Outcome::Rendered { image, .. } = outcome {
                change(image);
            }
        })
    };
    for outcome in [
        image(|image| image.bytes = 0),
        image(|image| image.bytes = u64::MAX),
        image(|image| image.media_type = atelier_proto::MediaType::Json),
        hand.planned(day_and_night(0)).await?,
    ] {
        assert_eq!(
            hand.report(&job.offer, outcome).await?,
            ReportAnswer::Refused
        );
    }
    let mut other = job.offer.clone();
    other.job = JobId::from_uuid(Uuid::now_v7());
    assert_ne!(
        hand.report(&other, good.clone()).await?,
        ReportAnswer::Committed
    );
    let mut other = job.offer.clone();
    other.request = RequestId::from_uuid(Uuid::now_v7());
    assert_ne!(
        hand.report(&other, good.clone()).await?,
        ReportAnswer::Committed
    );
    for attempt in [0, job.offer.attempt + 1, u32::MAX] {
        let mut other = job.offer.clone();
        other.attempt = attempt;
        assert_ne!(
            hand.report(&other, good.clone()).await?,
            ReportAnswer::Committed
        );
    }
    assert_eq!(
        fed.api().view(request.id).await?.state,
        RequestState::Active
    );
    let counted = fed.api().get("/metrics").await?.text().await?;
    for answer in ["refused", "superseded"] {
        let counter = format!("atelier_reports_total{{answer=\"{answer}\",kind=\"render\"}}");
        assert!(
            counted.contains(&counter),
            "{answer} is not counted:\n{counted}"
        );
    }
    hand.finish(job, good).await?;
    fed.api().succeeded(request.id, SOON).await?;
    fed.draws().await
}

/// A picture of a user that is another one by the time that a worker reads it.
#[tokio::test(flavor = "multi_thread")]
async fn inputs_of_workers_that_were_tampered_with() -> Result<()> {
    let mut fed = Fed::start().await?;
    let hand = Hand::new(&fed.sandbox).await?;
    let mut wanted: SubmitRequest = prompt("a cat");
    wanted.think = Think::Off;
    let request = fed.api().submit(&wanted).await?;
    let job = hand.next(JobKind::Render).await?;
    let atelier_proto::job::Work::Render(work) = &job.offer.work else {
        anyhow::bail!("{:?}", job.offer)
    };
    let key = object_key::artifact(work.plan.sha256, work.plan.media_type);
    let file = fed.sandbox.folder().join("objects").join(key);
    let good = std::fs::read_to_string(&file)?;
    std::fs::write(&file, good.replace("cat", "dog"))?;
    job.delivery.give_back(None).await;
    fed.worker = Some(fed.sandbox.worker("worker", &[])?);
    let view = fed.api().ended(request.id, Duration::from_secs(60)).await?;
    assert_eq!(view.state, RequestState::Failed);
    let reason = view.reason.unwrap_or_default();
    assert!(reason.contains("damaged"), "{reason}");
    fed.draws().await
}
