//! Where a webhook may go: to the world outside, so that nobody reaches through the farm into the network that it stands in.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use reqwest::Url;

/// Most addresses of a name that are tried.
const MOST_ADDRESSES: usize = 8;

/// Every rule that needs no look-up.
pub fn check_url(url: &Url, to_private: bool) -> Result<(), &'static str> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must hold no user and no password");
    }
    match url.scheme() {
        "https" => {}
        "http" if to_private => {}
        _ => return Err("must begin with https://"),
    }
    let host = url.host_str().ok_or("names no host")?;
    match bare(host).parse() {
        Ok(address) if !to_private && !is_public(address) => Err(PRIVATE),
        _ => Ok(()),
    }
}

/// An IPv6 address stands in brackets.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

const PRIVATE: &str = "leads into a private network";

/// The addresses that a URL's host stands for now; an error when any of them is in a private network.
pub async fn resolve(
    url: &Url,
    to_private: bool,
    patience: Duration,
) -> Result<Vec<SocketAddr>, String> {
    let host = bare(url.host_str().ok_or("names no host")?);
    let port = url.port_or_known_default().unwrap_or(443);
    let found = tokio::time::timeout(patience, tokio::net::lookup_host((host, port))).await;
    let found = found.map_err(|_| "its name is not found in time".to_owned())?;
    let found = found.map_err(|error| format!("its name is not found: {error}"))?;
    let addresses: Vec<SocketAddr> = found.take(MOST_ADDRESSES).collect();
    if addresses.is_empty() {
        return Err("its name stands for nothing".to_owned());
    }
    if !to_private && !addresses.iter().all(|address| is_public(address.ip())) {
        return Err(PRIVATE.to_owned());
    }
    Ok(addresses)
}

/// Whether an address is one of the world outside.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation();
    // This network; shared by carriers; protocols; old 6to4 relays; benchmarks; reserved.
    let special = special
        || a == 0
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19))
        || a >= 240;
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let words = address.segments();
    let inner = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    match words {
        // An IPv4 address in other clothes: mapped, translated, tunnelled.
        [0, 0, 0, 0, 0, 0xFFFF, high, low] | [0x64, 0xFF9B, 0, 0, 0, 0, high, low] => {
            is_public_v4(inner(high, low))
        }
        [0x2002, high, low, ..] => is_public_v4(inner(high, low)),
        // Documentation; Teredo and other protocols.
        [0x2001, 0x0DB8, ..] => false,
        [0x2001, word, ..] if word < 0x0200 => false,
        [0x3FFF, word, ..] if word < 0x1000 => false,
        // What is given out to the world at all; loopback, local and multicast addresses are not of it.
        [word, ..] => word & 0xE000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_world_outside_is_public() {
        for private in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "::127.0.0.1",
            "64:ff9b:1::1",
            "100::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.0.1",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "2606:4700::1111",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn urls_are_https_and_without_secrets() {
        let check = |url: &str, to_private| check_url(&url.parse().unwrap(), to_private);
        assert_eq!(check("https://example.com/hook?x=1", false), Ok(()));
        assert_eq!(check("http://127.0.0.1:9/", true), Ok(()));
        for refused in [
            "http://example.com/",
            "ftp://example.com/",
            "https://me:secret@example.com/",
            "https://me@example.com/",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://169.254.169.254/latest",
            "data:text/plain,x",
        ] {
            assert!(check(refused, false).is_err(), "{refused}");
        }
    }

    #[tokio::test]
    async fn names_are_judged_by_what_they_stand_for() {
        let url: Url = "https://localhost:1/".parse().unwrap();
        let patience = Duration::from_secs(5);
        assert_eq!(
            resolve(&url, false, patience).await,
            Err(PRIVATE.to_owned())
        );
        assert!(resolve(&url, true, patience).await.is_ok());
    }
}
