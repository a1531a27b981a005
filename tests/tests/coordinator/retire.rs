//! What is deleted once it is old, and what never is.

use std::{
    collections::BTreeSet,
    fs::{self, File, FileTimes},
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, ensure};
use atelier_coordinator::{Store, StoreOptions, retire};
use atelier_platform::{Artifacts, ManualClock, Pulse, Pulses};
use atelier_proto::{
    ArtifactRef, MediaType, Sha256,
    http::Health,
    job::{JobKind, Think},
    object_key,
};
use atelier_tests::{Options, Sandbox, finished, in_time, prompt, sha256};
use futures::TryStreamExt;
use sqlx::PgConnection;

use atelier_tests::hand::Hand;

const GRACE: Duration = Duration::from_secs(7_200);
const LONG: Duration = Duration::from_secs(30);
const DAY: Duration = Duration::from_secs(86_400);

/// Puts a document whose text is `text`.
async fn put(artifacts: &Artifacts, text: &str) -> Result<ArtifactRef> {
    let bytes = text.to_owned().into_bytes();
    Ok(artifacts.put(bytes.into(), MediaType::Json).await?)
}

/// Digest and time of every object.
async fn listed(artifacts: &Artifacts) -> Result<Vec<(Sha256, i64)>> {
    let all: Vec<_> = artifacts.list().try_collect().await?;
    let known = all.iter().filter_map(|stored| {
        let digest = stored.sha256()?;
        Some((digest, stored.modified_unix_millis))
    });
    Ok(known.collect())
}

async fn digests(artifacts: &Artifacts) -> Result<BTreeSet<Sha256>> {
    let listed = listed(artifacts).await?;
    Ok(listed.into_iter().map(|(digest, _)| digest).collect())
}

fn set(texts: &[&str]) -> BTreeSet<Sha256> {
    texts.iter().map(|text| sha256(text.as_bytes())).collect()
}

/// Puts a document that the store says is younger than this time, and says when it was written; buckets keep times in seconds.
async fn put_younger(artifacts: &Artifacts, text: &str, than: i64) -> Result<i64> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let young = put(artifacts, text).await?;
        let now = listed(artifacts).await?;
        let its = now.iter().find(|(digest, _)| *digest == young.sha256);
        let (_, its) = its.context("it is listed")?;
        if *its > than {
            return Ok(*its);
        }
        ensure!(Instant::now() < deadline, "times stand still");
        artifacts.delete(&young).await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Three finished requests that name one object in each way there is.
async fn name_everything(database: &mut PgConnection) -> Result<()> {
    // Jobs, plans, pictures and traces of the request with number n name what is called n.
    finished::insert(database, 3, 5).await?;
    sqlx::raw_sql(
        "UPDATE requests SET plan_sha256 = sha256('plan'), direct_plan_sha256 = sha256('direct'), image_sha256 = sha256('image'),
                trace_sha256 = sha256('trace'),
                pictures = jsonb_build_array(jsonb_build_object('name', 'cat', 'picture', jsonb_build_object(
                    'sha256', encode(sha256('upload'), 'hex'), 'bytes', 6, 'media_type', 'image/png')))
         WHERE seed = 1;
         -- An old id does not make an end old, and what is worked on is never too old.
         UPDATE requests SET finished_at = clock_timestamp() WHERE seed = 1;
         UPDATE requests SET state = 'active', finished_at = NULL, trace_sha256 = NULL, trace_bytes = NULL WHERE seed = 2",
    )
    .execute(database)
    .await?;
    Ok(())
}

async fn keeps_what_is_named_or_young(options: Options) -> Result<()> {
    const NAMED: [&str; 8] = ["0", "1", "2", "plan", "direct", "image", "trace", "upload"];
    let sandbox = Sandbox::with(options).await?;
    let store = Store::open(&StoreOptions {
        url: sandbox.database_url.clone(),
        connections: 4,
    })?;
    store.migrate().await?;
    let artifacts = Artifacts::open_with(&sandbox.store_url, &sandbox.environment)?;
    let pulse = Pulses::default().watch("test", DAY);
    let mut database = sandbox.database().await?;
    name_everything(&mut database).await?;
    for text in NAMED.iter().chain(&["nobody's", "somebody's no more"]) {
        put(&artifacts, text).await?;
    }
    let written = listed(&artifacts).await?;
    let old = written.iter().map(|(_, time)| *time).max();
    let old = old.context("there are some")?;
    let young = put_younger(&artifacts, "just written", old).await?;

    // The moment at which all but the youngest are older than the grace.
    let grace = i64::try_from(GRACE.as_millis())?;
    let then = ManualClock::at((old + grace + 1).unsigned_abs());
    let all = digests(&artifacts).await?;
    assert_eq!(all.len(), NAMED.len() + 3);
    let early = ManualClock::at(old.unsigned_abs());
    let swept = retire::sweep(&store, &artifacts, &early, GRACE, &pulse).await?;
    assert_eq!((swept, digests(&artifacts).await?), (0, all));
    let swept = retire::sweep(&store, &artifacts, &then, GRACE, &pulse).await?;
    let mut kept = set(&NAMED);
    kept.insert(sha256(b"just written"));
    assert_eq!((swept, digests(&artifacts).await?), (2, kept.clone()));

    // What was written again since it was listed is somebody's by now.
    let seen: Vec<_> = artifacts.list().try_collect().await?;
    let seen = seen
        .iter()
        .find(|stored| stored.sha256() == Some(sha256(b"just written")))
        .context("it is listed")?;
    let again = put(&artifacts, "just written").await?;
    artifacts.delete(&again).await?;
    put_younger(&artifacts, "just written", young).await?;
    ensure!(!artifacts.delete_older(seen).await?, "deleted what is new");
    assert_eq!(digests(&artifacts).await?, kept);

    // By age, and only what ended.
    assert_eq!(retire::retire(&store, 36_500, &pulse).await?, 0);
    assert_eq!(retire::retire(&store, 1, &pulse).await?, 1);
    let left: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT r.seed, count(j) FROM requests r LEFT JOIN jobs j ON j.request_id = r.id GROUP BY r.seed ORDER BY r.seed",
    )
    .fetch_all(&mut database)
    .await?;
    assert_eq!(left, [(1, 5), (2, 5)]);
    let orphans = "SELECT count(*) FROM jobs WHERE request_id NOT IN (SELECT id FROM requests)";
    let orphans: i64 = sqlx::query_scalar(orphans).fetch_one(&mut database).await?;
    assert_eq!(orphans, 0);
    assert_eq!(retire::retire(&store, 1, &pulse).await?, 0);

    // Its objects go after it, and so does what nobody took up.
    let later = then.clone();
    later.advance(DAY);
    let swept = retire::sweep(&store, &artifacts, &later, GRACE, &pulse).await?;
    assert_eq!((swept, digests(&artifacts).await?), (2, set(&NAMED[1..])));
    forgets_what_was_not_used(&artifacts, &pulse).await
}

/// Pointers to results, whatever the store.
async fn forgets_what_was_not_used(artifacts: &Artifacts, pulse: &Pulse) -> Result<()> {
    let key = sha256(b"a drawing");
    artifacts.put_result(key, b"{}".to_vec().into()).await?;
    let listed: Vec<_> = artifacts.list_results().try_collect().await?;
    let [pointer] = &listed[..] else {
        anyhow::bail!("{listed:?}")
    };
    let written = pointer.modified_unix_millis.unsigned_abs();
    let clock = ManualClock::at(written);
    clock.advance(7 * DAY);
    let forget = async || retire::forget_results(artifacts, &clock, 7 * DAY, pulse).await;
    assert_eq!(forget().await?, 0, "a week is not more than a week");
    assert!(artifacts.result(key).await?.is_some());
    clock.advance(Duration::from_secs(1));
    assert_eq!(forget().await?, 1);
    assert_eq!(artifacts.result(key).await?, None);
    assert_eq!(forget().await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_keeps_what_is_named_or_young() -> Result<()> {
    keeps_what_is_named_or_young(Options::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_keeps_what_is_named_or_young() -> Result<()> {
    keeps_what_is_named_or_young(Options {
        s3: true,
        ..Options::default()
    })
    .await
}

/// Sets the age of a file.
fn age(file: &std::path::Path, age: Duration) -> Result<()> {
    let time = SystemTime::now() - age;
    let file = File::options().write(true).open(file)?;
    Ok(file.set_times(FileTimes::new().set_modified(time))?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_deletes_by_itself_and_never_what_is_written_again() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let options = ["--keep-days", "3", "--sweep-every-s", "1"];
    let coordinator = sandbox.coordinator("one", &options)?;
    let api = &coordinator.api;
    let hand = Hand::new(&sandbox).await?;
    let mut wanted = prompt("a cat");
    wanted.think = Think::Off;
    let mut ids = Vec::new();
    for seed in 1..=2_u8 {
        wanted.seed = Some(seed.into());
        let request = api.submit(&wanted).await?;
        let job = hand.next(JobKind::Render).await?;
        hand.finish(job, hand.rendered(seed).await?).await?;
        api.succeeded(request.id, Duration::from_secs(10)).await?;
        api.trace(request.id).await?;
        ids.push(request.id);
    }
    let artifacts = Artifacts::open(&sandbox.store_url)?;
    let file = |artifact: &ArtifactRef| {
        let key = object_key::artifact(artifact.sha256, artifact.media_type);
        sandbox.folder().join("objects").join(key)
    };
    let nobodys = put(&artifacts, "nobody's").await?;
    let taken_up = put(&artifacts, "taken up again").await?;
    let young = put(&artifacts, "young").await?;
    // Named or not, everything there is was written two days ago.
    for stored in artifacts.list().try_collect::<Vec<_>>().await? {
        if stored.sha256() == Some(young.sha256) {
            continue;
        }
        if stored.sha256() == Some(taken_up.sha256) {
            age(&file(&taken_up), Duration::from_secs(80_000))?;
            // Not old enough to go, and too old to be taken for new: whoever stores it now makes it new.
            put(&artifacts, "taken up again").await?;
            let written = fs::metadata(file(&taken_up))?.modified()?;
            ensure!(written.elapsed().unwrap_or_default() < Duration::from_secs(600));
            continue;
        }
        age(&sandbox.folder().join("objects").join(&stored.key), 2 * DAY)?;
    }
    // Pointers to results go by when they were last used, not by what rows name.
    let pointer = |key: &str| {
        let key = object_key::result(sha256(key.as_bytes()));
        sandbox.folder().join("objects").join(key)
    };
    for (key, days) in [("used", 6), ("unused", 8)] {
        let bytes = b"{}".to_vec().into();
        artifacts.put_result(sha256(key.as_bytes()), bytes).await?;
        age(&pointer(key), days * DAY)?;
    }
    in_time("the sweep", LONG, async || Ok(!file(&nobodys).exists())).await?;
    in_time("what was forgotten", LONG, async || {
        Ok(!pointer("unused").exists())
    })
    .await?;
    ensure!(pointer("used").exists());
    for id in &ids {
        api.picture(*id).await?;
    }
    ensure!(file(&young).exists() && file(&taken_up).exists());

    let mut database = sandbox.database().await?;
    finished::insert(&mut database, 2, 5).await?;
    in_time("the old requests", LONG, async || {
        let left = "SELECT count(*) FROM requests";
        Ok(sqlx::query_scalar::<_, i64>(left)
            .fetch_one(&mut database)
            .await?
            == 2)
    })
    .await?;
    for id in &ids {
        api.view(*id).await?;
    }
    let health: Health = api.get("/healthz").await?.json().await?;
    ensure!(health.loops.iter().any(|one| one.name == "retire"));
    Ok(())
}
