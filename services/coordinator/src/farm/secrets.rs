//! What a farm signs with: secrets that all its coordinators find in the database, one for each use.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use tokio::sync::OnceCell;

use super::Farm;
use crate::store::StoreError;

/// What is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Links to files.
    Links,
    /// Sessions of browsers.
    Sessions,
    /// What the secrets of tenants' webhooks follow from.
    Webhooks,
}

impl Use {
    /// Its name in the database.
    const fn name(self) -> &'static str {
        match self {
            Self::Links => "links",
            Self::Sessions => "sessions",
            Self::Webhooks => "webhooks",
        }
    }
}

/// The secrets that were needed so far: each is looked up once, or made by whoever is first. Clones share them.
#[derive(Clone, Default)]
pub struct Secrets(Arc<[OnceCell<[u8; 32]>; 3]>);

impl Secrets {
    /// The secret for a use.
    pub async fn of(&self, farm: &Farm, what: Use) -> Result<[u8; 32], StoreError> {
        let made = || farm.store.secret(what.name(), farm.ids.secret());
        let cell = &self.0[what as usize];
        cell.get_or_try_init(made).await.copied()
    }
}

/// HMAC-SHA256 of `payload`. What is signed begins with what it is for, so that no signature of one thing is good for another.
pub fn mac(secret: &[u8], purpose: &[u8], payload: &[u8]) -> Hmac<sha2::Sha256> {
    let mut mac = Hmac::new_from_slice(secret).expect("HMAC takes secrets of any length");
    mac.update(purpose);
    mac.update(payload);
    mac
}
