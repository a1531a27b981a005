use std::{fs, process::Command, time::Duration};

use anyhow::{Context, Result};
use atelier_tests::{Sandbox, in_time, prompt};
use sqlx::{PgConnection, migrate::Migrator};

const SOON: Duration = Duration::from_secs(20);

/// The schema from before there were tenants, with one request of each state and the job of the active one.
const OLD_ROWS: &str = "
    INSERT INTO requests (id, idempotency_key, body_sha256, model, prompt, seed, think, priority, max_rounds,
                          direct_plan_sha256, direct_plan_bytes, state, reason, finished_at)
    SELECT gen_random_uuid(), 'k' || n, sha256('body'), 'm', 'a cat', 1, 'fast', 'batch', 2, sha256('plan'), 1,
           CASE n WHEN 0 THEN 'active' ELSE 'failed' END, CASE n WHEN 0 THEN NULL ELSE 'no paint' END,
           CASE n WHEN 0 THEN NULL ELSE now() END
    FROM generate_series(0, 2) AS n;
    INSERT INTO jobs (id, request_id, position, kind, round, seed, queue_rank, state, not_before)
    SELECT gen_random_uuid(), id, 0, 'plan', 1, 1, 5, 'ready', now() FROM requests WHERE state = 'active';";

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_shown_once_and_kept_nowhere() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let too_early = sandbox
        .key_of("a-team")
        .err()
        .context("there is no schema")?;
    assert!(too_early.to_string().contains("migrate"), "{too_early}");
    sandbox.administer(&["migrate"])?;
    let key = sandbox.key_of("a-team")?;
    assert!(key.starts_with("atl_") && key.len() == 47 && !key.contains(char::is_whitespace));
    assert_ne!(sandbox.key_of("a-team")?, key);
    let listed = sandbox.administer(&["key", "list"])?;
    assert_eq!(listed.lines().count(), 2);
    assert!(listed.contains("a-team") && listed.contains("of a test") && listed.contains("good"));
    let json = sandbox.administer(&["key", "list", "--json"])?;
    assert!(!listed.contains("atl_") && !json.contains("atl_"));

    sandbox.administer(&[
        "tenant",
        "set",
        "a-team",
        "--weight",
        "3",
        "--queue-limit",
        "7",
    ])?;
    let tenants = sandbox.administer(&["tenant", "list"])?;
    assert!(
        tenants.contains("a-team  weight 3  active 0  limit 7"),
        "{tenants}"
    );
    sandbox.administer(&["tenant", "set", "a-team", "--queue-limit", "default"])?;
    let tenants = sandbox.administer(&["tenant", "list"])?;
    assert!(
        tenants.contains("a-team  weight 3  active 0  limit default"),
        "{tenants}"
    );
    for wrong in [
        &["tenant", "set", "nobody", "--weight", "2"][..],
        &["tenant", "set", "a-team", "--weight", "0"],
        &["key", "create", "--tenant", "a team"],
    ] {
        assert!(sandbox.administer(wrong).is_err(), "{wrong:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_may_migrate_at_once_and_a_newer_schema_is_refused() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let binary = sandbox.binary("atelier-coordinator")?;
    let migrate = || {
        Command::new(&binary)
            .arg("migrate")
            .env("ATELIER_DATABASE_URL", &sandbox.database_url)
            .spawn()
    };
    let all: Vec<_> = (0..4).map(|_| migrate()).collect::<Result<_, _>>()?;
    for mut one in all {
        assert!(one.wait()?.success());
    }
    let mut database = sandbox.database().await?;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', true, '', 0)",
    )
    .execute(&mut database)
    .await?;
    let refused = sandbox.administer(&["migrate"]).err().context("refused")?;
    assert!(refused.to_string().contains("newer release"), "{refused}");
    let serving = sandbox.coordinator("one", &[]).err().context("refused")?;
    assert!(
        format!("{serving:#}").contains("newer release"),
        "{serving:#}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_there_before_tenants_is_of_the_tenant_local() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let mut database = sandbox.database().await?;
    migrate_to(&sandbox, &mut database, "0001").await?;
    sqlx::raw_sql(OLD_ROWS).execute(&mut database).await?;
    // Webhooks were due from the submit on.
    migrate_to(&sandbox, &mut database, "0010").await?;
    let due = "INSERT INTO webhooks (request_id, tenant_id, url) SELECT id, tenant_id, 'https://localhost:9/' FROM requests";
    sqlx::raw_sql(due).execute(&mut database).await?;

    let coordinator = sandbox.coordinator("one", &[])?;
    let local = coordinator.api.with_key(Some(&sandbox.key_of("local")?))?;
    let list = local.get("/v1/requests").await?.text().await?;
    assert_eq!(list.matches("a cat").count(), 3, "{list}");
    let tenants = sandbox.administer(&["tenant", "list"])?;
    assert!(tenants.contains("local  weight 1  active 1"), "{tenants}");
    let priority: String = sqlx::query_scalar("SELECT priority FROM jobs")
        .fetch_one(&mut database)
        .await?;
    assert_eq!(priority, "batch");
    let known = local
        .post("/v1/requests", &prompt("a dog"), Some("k1"))
        .await?;
    assert_eq!(known.status(), 409, "old idempotency keys are kept");
    let fresh = coordinator
        .api
        .post("/v1/requests", &prompt("a dog"), Some("k1"))
        .await?;
    assert_eq!(fresh.status(), 201, "they are only its own");
    in_time("webhooks of what ended are tried", SOON, async || {
        let webhooks = "SELECT count(*) FILTER (WHERE r.state <> 'active' AND w.attempts > 0),
                               count(*) FILTER (WHERE r.state = 'active' AND w.next_at = 'infinity')
                        FROM webhooks w JOIN requests r ON r.id = w.request_id";
        let (tried, waiting): (i64, i64) =
            sqlx::query_as(webhooks).fetch_one(&mut database).await?;
        assert_eq!(waiting, 1, "and of what is worked on wait");
        Ok(tried == 2)
    })
    .await
}

/// Brings the schema up to a version, as an earlier release would have.
async fn migrate_to(sandbox: &Sandbox, database: &mut PgConnection, last: &str) -> Result<()> {
    let old = sandbox.folder().join(last);
    fs::create_dir(&old)?;
    for file in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations"))? {
        let file = file?;
        let name = file.file_name();
        let version = name.to_str().and_then(|name| name.get(..4));
        if version.is_some_and(|version| version <= last) {
            fs::copy(file.path(), old.join(name))?;
        }
    }
    let migrator = Migrator::new(old.as_path()).await?;
    Ok(migrator.run(database).await?)
}
