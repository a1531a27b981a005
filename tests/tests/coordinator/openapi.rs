//! The document of the API against the running API.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use atelier_tests::Sandbox;
use reqwest::{Method, StatusCode};
use serde_json::Value;

const NOBODY: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

#[tokio::test(flavor = "multi_thread")]
async fn every_described_path_takes_the_described_methods_and_no_other() -> Result<()> {
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("one", &[])?;
    let document: Value = coordinator.api.get("/openapi.json").await?.json().await?;
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().context("paths")?;
    for (path, operations) in paths {
        // Nobody has a use for this method, so that the answer says which ones there are.
        let called = path
            .replace("{id}", NOBODY)
            .replace("{sha256}", &"0".repeat(64));
        let answer = coordinator.api.call(Method::TRACE, &called).send().await?;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        let allowed = answer.headers().get("allow").context("allow")?.to_str()?;
        // HEAD comes with every GET.
        let served: BTreeSet<String> = allowed
            .split(',')
            .map(|method| method.trim().to_lowercase())
            .filter(|method| method != "head")
            .collect();
        let described = operations.as_object().context("operations")?;
        assert_eq!(served, described.keys().cloned().collect(), "{path}");
    }
    Ok(())
}
