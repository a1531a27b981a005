//! Who calls: the tenant whose API key came with the call, or who logged in with one on the farm's page. Every endpoint under `/v1` takes a
//! [`Caller`], and the store needs its tenant.

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

use uuid::Uuid;

use super::{Api, error::ApiError, session};
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
        if !parts.headers.contains_key(header::AUTHORIZATION) {
            return Self::logged_in(parts, api).await;
        }
        let key = bearer(&parts.headers).ok_or_else(ApiError::no_key)?;
        let tenant = api.keys.tenant(&api.farm.store, key).await?;
        tenant
            .map(|tenant| Self { tenant })
            .ok_or_else(ApiError::wrong_key)
    }
}

impl Caller {
    /// Who logged in on the page. A browser sends the cookie by itself, so that what changes something must come from the page.
    async fn logged_in(parts: &Parts, api: &Api) -> Result<Self, ApiError> {
        let session = session::of(&api.farm, &parts.headers).await?;
        let session = session.ok_or_else(ApiError::no_key)?;
        let tenant = api.keys.tenant_by_id(&api.farm.store, session.key).await?;
        if tenant != Some(session.tenant) {
            return Err(ApiError::wrong_key());
        }
        if !session::is_ours(&parts.method, &parts.headers) {
            return Err(ApiError::cross_site());
        }
        Ok(Self {
            tenant: session.tenant,
        })
    }
}

/// The key in `authorization: Bearer KEY`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let given = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = given.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// What a key is known by. Never the key itself, so that the time it takes to compare tells nothing about one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Name {
    Digest(Sha256),
    Id(Uuid),
}

/// Keys that were good a moment ago.
#[derive(Clone, Debug, Default)]
pub struct KnownKeys(Arc<Mutex<HashMap<Name, (TenantId, Instant)>>>);

impl KnownKeys {
    async fn tenant(&self, store: &Store, key: &str) -> Result<Option<TenantId>, StoreError> {
        if !api_key::is_key(key) {
            return Ok(None);
        }
        let digest = digest(key.as_bytes());
        let found = async { Ok(store.key(digest).await?.map(|(_, tenant)| tenant)) };
        self.known_or(Name::Digest(digest), found).await
    }

    /// Whose the key called `id` is.
    async fn tenant_by_id(&self, store: &Store, id: Uuid) -> Result<Option<TenantId>, StoreError> {
        self.known_or(Name::Id(id), store.tenant_of_key_id(id))
            .await
    }

    async fn known_or(
        &self,
        name: Name,
        look: impl Future<Output = Result<Option<TenantId>, StoreError>>,
    ) -> Result<Option<TenantId>, StoreError> {
        if let Some(tenant) = self.known(name) {
            return Ok(Some(tenant));
        }
        let tenant = look.await?;
        if let Some(tenant) = tenant {
            self.remember(name, tenant);
        }
        Ok(tenant)
    }

    fn known(&self, name: Name) -> Option<TenantId> {
        let known = self.lock();
        let (tenant, since) = known.get(&name)?;
        (since.elapsed() < KNOWN_FOR).then_some(*tenant)
    }

    fn remember(&self, name: Name, tenant: TenantId) {
        let mut known = self.lock();
        if known.len() >= MOST_KNOWN {
            known.retain(|_, (_, since)| since.elapsed() < KNOWN_FOR);
        }
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(name, (tenant, Instant::now()));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, (TenantId, Instant)>> {
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
        let nth = |n: usize| Name::Digest(digest(&n.to_le_bytes()));
        for n in 0..=MOST_KNOWN {
            keys.remember(nth(n), tenant);
        }
        assert_eq!(keys.known(nth(MOST_KNOWN)), Some(tenant));
        assert!(keys.lock().len() <= MOST_KNOWN);
        assert_eq!(keys.known(nth(MOST_KNOWN + 1)), None);
    }
}
