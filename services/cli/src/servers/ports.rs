//! Free ports on the loopback address.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    io,
    net::{Ipv4Addr, TcpListener},
};

use super::ServerError;

/// Below the kernel's usual range of outgoing ports: there, a client that keeps trying a server that is down can
/// connect to itself and so take the port away from the server that comes back.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// A port that nobody listens on; `preferred` if it is free.
pub fn free_port(preferred: Option<u16>) -> Result<u16, ServerError> {
    let count = u64::from(RANGE.end - RANGE.start);
    // A fresh hasher differs at every call and in every process, so that two that look at once rarely choose the same.
    let start = RandomState::new().build_hasher().finish() % count;
    let scattered = (0..count).map(|step| RANGE.start + ((start + step) % count) as u16);
    let mut refusal = io::Error::from(io::ErrorKind::AddrInUse);
    for port in preferred.into_iter().chain(scattered) {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => return Ok(port),
            Err(error) => refusal = error,
        }
    }
    Err(ServerError::NoPort(refusal))
}
