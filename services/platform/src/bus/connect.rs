//! The connection: made again and again for as long as the process lives, with a log line at every change.

use std::{path::PathBuf, time::Duration};

use async_nats::{ConnectOptions, Event, ServerAddr, jetstream};
use atelier_proto::subject::{Names, check_token};
use percent_encoding::percent_decode_str;
use tokio::sync::watch;

use super::{Bus, BusError};
use crate::telemetry::Latency;

/// Longest wait between two tries to connect.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// How to connect.
#[derive(Clone, Debug)]
pub struct BusOptions {
    /// Servers, separated by commas: `nats://user:password@host:4222`. All take the first user that is named; what a URL cannot hold as it
    /// is (`@`, `:`, `/`) is percent-encoded.
    pub url: String,
    /// Credentials file (JWT and seed), where the server wants one.
    pub credentials: Option<PathBuf>,
    /// Prefix of every name of the farm.
    pub prefix: String,
    /// Start of the subjects on which answers come, `_INBOX` unless the server gives each user one of its own.
    pub inbox: String,
    /// Name of this process for the server's operators.
    pub client_name: String,
    /// Copies of the job stream: 1, or 3 on a cluster.
    pub replicas: usize,
}

impl Bus {
    /// Connects; returns at once when the server is away, and goes on trying in the background.
    pub async fn connect(options: BusOptions) -> Result<Self, BusError> {
        let names = Names::new(&options.prefix)?;
        options.inbox.split('.').try_for_each(check_token)?;
        let servers = parse_servers(&options.url)?;
        let shown = shown(&servers);
        let (connected, connections) = watch::channel(0_u64);
        let mut connect = ConnectOptions::new();
        // The client itself does not look at the user of a URL.
        if let Some((user, password)) = user_of(&servers) {
            connect = connect.user_and_password(user, password);
        }
        if let Some(file) = &options.credentials {
            connect = connect
                .credentials_file(file)
                .await
                .map_err(|error| BusError::Connect {
                    url: shown.clone(),
                    reason: format!("credentials file {}: {error}", file.display()),
                })?;
        }
        let place = shown.clone();
        let client = connect
            .name(&options.client_name)
            .custom_inbox_prefix(&options.inbox)
            .retry_on_initial_connect()
            .max_reconnects(None)
            .reconnect_delay_callback(wait_before)
            .connection_timeout(Duration::from_secs(5))
            .ping_interval(Duration::from_secs(10))
            .event_callback(move |event| {
                note(&event, &place, &connected);
                std::future::ready(())
            })
            .connect(servers)
            .await
            .map_err(|error| BusError::Connect {
                url: shown,
                reason: error.to_string(),
            })?;
        let mut jetstream = jetstream::new(client.clone());
        jetstream.set_timeout(Duration::from_secs(5));
        Ok(Self {
            client,
            jetstream,
            names,
            replicas: options.replicas,
            connections,
            latency: Latency::default(),
        })
    }
}

/// 0, 50 ms, 100 ms, .. 2 s.
fn wait_before(attempt: usize) -> Duration {
    let doubled = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
    match attempt {
        0 | 1 => Duration::ZERO,
        _ => Duration::from_millis(25)
            .saturating_mul(2_u32.saturating_pow(doubled))
            .min(LONGEST_WAIT),
    }
}

fn note(event: &Event, place: &str, connected: &watch::Sender<u64>) {
    match event {
        Event::Connected => {
            connected.send_modify(|count| *count += 1);
            tracing::info!(nats = place, "connected to NATS");
        }
        Event::Disconnected => {
            tracing::warn!(nats = place, "NATS is away: trying again until it is back");
        }
        Event::SlowConsumer(subscription) => {
            tracing::warn!(subscription, "signals were dropped: read too slowly");
        }
        other => tracing::warn!(nats = place, event = %other, "NATS"),
    }
}

fn parse_servers(url: &str) -> Result<Vec<ServerAddr>, BusError> {
    url.split(',')
        .map(|server| {
            server
                .trim()
                .parse::<ServerAddr>()
                .map_err(|error| BusError::Connect {
                    // The text may hold a password.
                    url: "the given URL".into(),
                    reason: format!("{error} (example: nats://127.0.0.1:4222)"),
                })
        })
        .collect()
}

/// User and password of the first server that has them.
fn user_of(servers: &[ServerAddr]) -> Option<(String, String)> {
    let plain = |text: Option<&str>| {
        let text = percent_decode_str(text.unwrap_or_default());
        text.decode_utf8_lossy().into_owned()
    };
    let named = servers.iter().find(|server| server.has_user_pass())?;
    Some((plain(named.username()), plain(named.password())))
}

/// Servers without their credentials.
fn shown(servers: &[ServerAddr]) -> String {
    let places: Vec<String> = servers
        .iter()
        .map(|server| format!("{}:{}", server.host(), server.port()))
        .collect();
    places.join(",")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_no_further() {
        assert_eq!(wait_before(0), Duration::ZERO);
        assert_eq!(wait_before(2), Duration::from_millis(50));
        assert_eq!(wait_before(3), Duration::from_millis(100));
        assert_eq!(wait_before(1_000_000), LONGEST_WAIT);
    }

    #[test]
    fn passwords_are_not_shown() {
        let servers =
            parse_servers("nats://farm:secret@10.0.0.1:4222, nats://10.0.0.2:4223").unwrap();
        assert_eq!(shown(&servers), "10.0.0.1:4222,10.0.0.2:4223");
    }

    #[test]
    fn the_user_of_a_url_is_taken() {
        let user = |url| user_of(&parse_servers(url).unwrap());
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(user("nats://10.0.0.1:4222"), None);
        assert_eq!(
            user("nats://farm:secret@10.0.0.1:4222"),
            pair("farm", "secret")
        );
        assert_eq!(
            user("nats://10.0.0.1:4222,nats://farm:p%40ss%2fword@10.0.0.2:4222"),
            pair("farm", "p@ss/word")
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_parsing_panic(url in ".{0,60}") {
            let _ = parse_servers(&url).map(|servers| user_of(&servers));
        }
    }
}
