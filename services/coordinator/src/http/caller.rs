//! Who calls: the tenant whose API key came with the call. Every endpoint under `/v1` takes a [`Caller`], and the store needs its tenant.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use atelier_platform::artifacts::digest;
use atelier_proto::{Sha256, TenantId};
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};

use super::{Api, error::ApiError};
use crate::{
    api_key,
    store::{Store, StoreError},
};

/// A key that is known is not looked up again for this long: so late may a revocation be seen.
const KNOWN_FOR: Duration = Duration::from_secs(30);
/// Most keys that are remembered.
const MOST_KNOWN: usize = 4_096;

/// The tenant that calls.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// Whose key it was.
    pub tenant: TenantId,
}

impl FromRequestParts<Api> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let key = bearer(&parts.headers).ok_or_else(ApiError::no_key)?;
        let tenant = api.keys.tenant(&api.farm.store, key).await?;
        tenant
            .map(|tenant| Self { tenant })
            .ok_or_else(ApiError::wrong_key)
    }
}

/// The key in `authorization: Bearer KEY`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let given = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = given.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// Keys that were good a moment ago, by their digest: what is compared is never the key, so that the time it takes tells nothing about one.
#[derive(Clone, Debug, Default)]
pub struct KnownKeys(Arc<Mutex<HashMap<Sha256, (TenantId, Instant)>>>);

impl KnownKeys {
    async fn tenant(&self, store: &Store, key: &str) -> Result<Option<TenantId>, StoreError> {
        if !api_key::is_key(key) {
            return Ok(None);
        }
        let digest = digest(key.as_bytes());
        if let Some(tenant) = self.known(digest) {
            return Ok(Some(tenant));
        }
        let tenant = store.tenant_of_key(digest).await?;
        if let Some(tenant) = tenant {
            self.remember(digest, tenant);
        }
        Ok(tenant)
    }

    fn known(&self, digest: Sha256) -> Option<TenantId> {
        let known = self.lock();
        let (tenant, since) = known.get(&digest)?;
        (since.elapsed() < KNOWN_FOR).then_some(*tenant)
    }

    fn remember(&self, digest: Sha256, tenant: TenantId) {
        let mut known = self.lock();
        if known.len() >= MOST_KNOWN {
            known.retain(|_, (_, since)| since.elapsed() < KNOWN_FOR);
        }
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(digest, (tenant, Instant::now()));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Sha256, (TenantId, Instant)>> {
        // Nothing under the lock can panic halfway through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn reads_the_key_whatever_the_case_of_the_scheme() {
        let read = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(read("Bearer atl_x").as_deref(), Some("atl_x"));
        assert_eq!(read("bearer  atl_x ").as_deref(), Some("atl_x"));
        assert_eq!(read("Basic atl_x"), None);
        assert_eq!(read("atl_x"), None);
        assert_eq!(bearer(&HeaderMap::new()), None);
    }

    #[test]
    fn remembers_a_bounded_number_of_keys() {
        let keys = KnownKeys::default();
        let tenant = TenantId::at(1, [1; 10]);
        let nth = |n: usize| digest(&n.to_le_bytes());
        for n in 0..=MOST_KNOWN {
            keys.remember(nth(n), tenant);
        }
        assert_eq!(keys.known(nth(MOST_KNOWN)), Some(tenant));
        assert!(keys.lock().len() <= MOST_KNOWN);
        assert_eq!(keys.known(nth(MOST_KNOWN + 1)), None);
    }
}
