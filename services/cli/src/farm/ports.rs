//! The ports of a farm: the same over restarts, so that addresses that were noted stay right.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use super::FarmInfo;
use crate::servers::free_port;

/// Servers of a farm that was killed let go of their ports within this time.
const PATIENCE: Duration = Duration::from_secs(5);

/// One port for each server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports {
    /// PostgreSQL.
    pub postgres: u16,
    /// NATS.
    pub nats: u16,
    /// The API of each coordinator; the first is the one that people are told.
    pub http: Vec<u16>,
}

impl Ports {
    /// The ports of the last time where they are free, free ones for what is new. One that was recorded and is taken is
    /// an error, unless `any` allows another one. `http` names the port of the first coordinator; the others keep theirs.
    pub fn choose(
        last: Option<&FarmInfo>,
        coordinators: u32,
        http: Option<u16>,
        any: bool,
    ) -> Result<Self> {
        let postgres = port("PostgreSQL", last.map(|info| info.postgres_port), any)?;
        let nats = port("NATS", last.map(|info| info.nats_port), any)?;
        let mut taken = vec![postgres, nats];
        let mut recorded = last.map(|info| info.http_ports.clone()).unwrap_or_default();
        if let Some(named) = http {
            match recorded.iter().position(|port| *port == named) {
                Some(index) => recorded.swap(0, index),
                None if recorded.is_empty() => recorded.push(named),
                None => recorded[0] = named,
            }
            if free_port(Some(named))? != named {
                bail!("port {named} is taken: name another one with --port");
            }
        }
        let mut all = Vec::new();
        for index in 0..coordinators as usize {
            let mut chosen = port("the API", recorded.get(index).copied(), any)?;
            while taken.contains(&chosen) {
                chosen = free_port(None)?;
            }
            taken.push(chosen);
            all.push(chosen);
        }
        Ok(Self {
            postgres,
            nats,
            http: all,
        })
    }
}

fn port(whose: &str, recorded: Option<u16>, any: bool) -> Result<u16> {
    let Some(recorded) = recorded else {
        return Ok(free_port(None)?);
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        let free = free_port(Some(recorded))?;
        if free == recorded || any {
            return Ok(free);
        }
        if Instant::now() > deadline {
            bail!(
                "port {recorded}, which {whose} had the last time, is taken by another process: end that one, or let the farm take another port with --free-ports"
            );
        }
        thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn ports_stay_and_a_taken_one_is_only_replaced_when_that_is_allowed() {
        let first = Ports::choose(None, 2, None, false).unwrap();
        let mut all = first.http.clone();
        all.extend([first.nats, first.postgres]);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 4, "{first:?}");
        let info = FarmInfo {
            url: String::new(),
            pid: 1,
            http_ports: first.http.clone(),
            postgres_port: first.postgres,
            nats_port: first.nats,
            workers: 1,
            ready_at: String::new(),
        };
        let again = Ports::choose(Some(&info), 1, None, false).unwrap();
        assert_eq!(
            (again.postgres, &again.http[..]),
            (first.postgres, &first.http[..1])
        );
        let named = free_port(None).unwrap();
        let moved = Ports::choose(Some(&info), 2, Some(named), false).unwrap();
        assert_eq!(moved.http, [named, first.http[1]], "the second stays");
        let turned = Ports::choose(Some(&info), 2, Some(first.http[1]), false).unwrap();
        assert_eq!(turned.http, [first.http[1], first.http[0]]);
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, first.nats)).unwrap();
        let error = Ports::choose(Some(&info), 1, None, false).unwrap_err();
        assert!(error.to_string().contains("--free-ports"), "{error}");
        let other = Ports::choose(Some(&info), 1, None, true).unwrap();
        assert_ne!(other.nats, first.nats);
        assert_eq!(other.http, first.http[..1]);
        let error = Ports::choose(None, 1, Some(first.nats), true).unwrap_err();
        assert!(error.to_string().contains("--port"), "{error}");
    }
}
