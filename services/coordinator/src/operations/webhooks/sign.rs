//! Signatures as Standard Webhooks 1.0 has them.

use atelier_proto::TenantId;
use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};

/// Value of `webhook-signature`.
pub fn signature(id: &str, unix_seconds: i64, body: &[u8], secret: &[u8]) -> String {
    let mut mac =
        Hmac::<sha2::Sha256>::new_from_slice(secret).expect("HMAC takes secrets of any length");
    mac.update(format!("{id}.{unix_seconds}.").as_bytes());
    mac.update(body);
    let tag = mac.finalize().into_bytes();
    format!("v1,{}", BASE64_STANDARD.encode(tag))
}

/// What a tenant's messages are signed with.
pub fn derived(farms: &[u8], tenant: TenantId) -> Vec<u8> {
    let mut mac =
        Hmac::<sha2::Sha256>::new_from_slice(farms).expect("HMAC takes secrets of any length");
    mac.update(b"atelier webhooks v1\0");
    mac.update(tenant.as_uuid().as_bytes());
    mac.finalize().into_bytes().to_vec()
}
