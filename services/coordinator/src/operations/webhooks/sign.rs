//! Signatures as Standard Webhooks 1.0 has them.

use atelier_proto::TenantId;
use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::Mac;

use crate::farm::mac;

/// Value of `webhook-signature`.
pub fn signature(id: &str, unix_seconds: i64, body: &[u8], secret: &[u8]) -> String {
    let about = format!("{id}.{unix_seconds}.");
    let tag = mac(secret, about.as_bytes(), body).finalize().into_bytes();
    format!("v1,{}", BASE64_STANDARD.encode(tag))
}

/// What a tenant's messages are signed with.
pub fn derived(farms: &[u8], tenant: TenantId) -> Vec<u8> {
    let mac = mac(farms, b"atelier webhooks v1\0", tenant.as_uuid().as_bytes());
    mac.finalize().into_bytes().to_vec()
}
