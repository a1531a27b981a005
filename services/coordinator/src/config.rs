//! The options of `serve`. Every flag is also a variable of the environment, `ATELIER_` and the flag in capitals; that of OTLP is
//! OpenTelemetry's own.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use atelier_domain::Policy;
use atelier_platform::telemetry::LogFormat;
use clap::Args;
use reqwest::Url;

use crate::{
    http::Settings,
    loops::retire::Keep,
    operations::{
        pods::{self, Access},
        webhooks::Terms,
    },
};

/// What a coordinator is told at its start.
#[derive(Clone, Debug, Args)]
pub struct Config {
    /// Address of the HTTP API; with port 0 the system chooses one
    #[arg(long, env = "ATELIER_LISTEN", default_value = "127.0.0.1:8700")]
    pub listen: SocketAddr,

    /// PostgreSQL, as postgres://user:password@host/database
    #[arg(long, env = "ATELIER_DATABASE_URL", hide_env_values = true)]
    pub database_url: String,

    /// Most connections to PostgreSQL
    #[arg(long, env = "ATELIER_DATABASE_CONNECTIONS", default_value_t = 16, value_parser = clap::value_parser!(u32).range(4..=1000))]
    pub database_connections: u32,

    /// NATS servers, as nats://user:password@host:4222, separated by commas
    #[arg(
        long,
        env = "ATELIER_NATS_URL",
        hide_env_values = true,
        default_value = "nats://127.0.0.1:4222"
    )]
    pub nats_url: String,

    /// NATS credentials file, where the server wants one
    #[arg(long, env = "ATELIER_NATS_CREDENTIALS", value_name = "FILE")]
    pub nats_credentials: Option<PathBuf>,

    /// Start of the subjects on which answers of NATS come, where the server gives this user one of its own
    #[arg(long, env = "ATELIER_NATS_INBOX", default_value = "_INBOX")]
    pub nats_inbox: String,

    /// Copies of the job stream: 1, or 3 on a cluster
    #[arg(long, env = "ATELIER_NATS_REPLICAS", default_value_t = 1)]
    pub nats_replicas: usize,

    /// Object store, as file:///folder or s3://bucket (with the AWS_* variables)
    #[arg(long, env = "ATELIER_STORE_URL")]
    pub store_url: String,

    /// Start of every name on NATS; farms that share a NATS have different ones
    #[arg(long, env = "ATELIER_PREFIX", default_value = "atelier")]
    pub prefix: String,

    /// Name of the model that the workers have loaded
    #[arg(long, env = "ATELIER_MODEL", default_value = "atelier-mini")]
    pub model: String,

    /// How long a job lives without a sign of life from a worker, in milliseconds
    #[arg(long, env = "ATELIER_LEASE_MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(500..=3_600_000))]
    pub lease_ms: u64,

    /// Failed attempts after which a job is given up
    #[arg(long, env = "ATELIER_MAX_FAILURES", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub max_failures: u32,

    /// Different workers that one job may fail on, or kill, before it is parked
    #[arg(long, env = "ATELIER_MAX_FAILED_WORKERS", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub max_failed_workers: u32,

    /// Active requests of one tenant above which its submits are answered 429, unless the tenant has a limit of its own
    #[arg(long, env = "ATELIER_TENANT_QUEUE_LIMIT", default_value_t = 100_000)]
    pub tenant_queue_limit: u64,

    /// Longest time that a call of /v1/images waits for its pictures, in seconds; then its requests are canceled, unless it came with an idempotency key
    #[arg(long, env = "ATELIER_LONGEST_WAIT_S", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub longest_wait_s: u64,

    /// How callers reach this API, for links to files; the name that a call used unless given
    #[arg(long, env = "ATELIER_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,

    /// Let webhooks go to private networks, and over plain HTTP: only where every holder of a key may reach what this process can
    #[arg(long, env = "ATELIER_WEBHOOKS_TO_PRIVATE")]
    pub webhooks_to_private: bool,

    /// Tries before a webhook is given up; ten are spread over four days
    #[arg(long, env = "ATELIER_WEBHOOK_ATTEMPTS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub webhook_attempts: u32,

    /// Start of the names of workers' pods: into these is written how many jobs each holds (controller.kubernetes.io/pod-deletion-cost), so
    /// that idle ones go first when a pool shrinks; nothing is told to Kubernetes unless given
    #[arg(long, env = "ATELIER_POD_DELETION_COST", value_name = "PREFIX", value_parser = pods::check_prefix)]
    pub pod_deletion_cost: Option<String>,

    /// Kubernetes' API, for --pod-deletion-cost
    #[arg(long, env = "ATELIER_KUBERNETES_API", value_name = "URL", default_value = "https://kubernetes.default.svc", value_parser = pods::check_server)]
    pub kubernetes_api: Url,

    /// Folder with the token of a service account, the certificate of the API's authority and the namespace of the pods (token, ca.crt, namespace)
    #[arg(
        long,
        env = "ATELIER_KUBERNETES_ACCOUNT",
        value_name = "DIR",
        default_value = "/var/run/secrets/kubernetes.io/serviceaccount"
    )]
    pub kubernetes_account: PathBuf,

    /// Days that requests are kept after their end; for ever unless given
    #[arg(long, env = "ATELIER_KEEP_DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub keep_days: Option<u32>,

    /// Threads that serve; half of the cores unless given
    #[arg(long, env = "ATELIER_THREADS", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,

    /// Age in seconds at which an object that nothing points at is deleted; longer than workers may keep a report, and at least an hour and a half
    #[arg(long, env = "ATELIER_SWEEP_AGE_S", default_value_t = 86_400, value_parser = clap::value_parser!(u64).range(5_400..))]
    pub sweep_age_s: u64,

    /// Seconds between two looks for what may be deleted
    #[arg(long, env = "ATELIER_SWEEP_EVERY_S", default_value_t = 3_600, value_parser = clap::value_parser!(u64).range(1..))]
    pub sweep_every_s: u64,

    /// File that gets the URL of the API once it is served
    #[arg(long, env = "ATELIER_ANNOUNCE", value_name = "FILE")]
    pub announce: Option<PathBuf>,

    /// Time for finishing what is in hand after SIGTERM, in seconds
    #[arg(long, env = "ATELIER_GRACE_S", default_value_t = 20)]
    pub grace_s: u64,

    /// Receiver of traces over OTLP, as http://collector:4318; none are exported unless given
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,

    /// Log lines: human or json
    #[arg(long, env = "ATELIER_LOG_FORMAT", default_value = "human")]
    pub log_format: LogFormat,

    /// What is logged, in tracing's syntax
    #[arg(
        long,
        env = "ATELIER_LOG",
        default_value = "info,sqlx=warn,async_nats=warn"
    )]
    pub log: String,
}

impl Config {
    /// What is kept, and how long.
    pub fn keep(&self) -> Keep {
        Keep {
            days: self.keep_days,
            grace: Duration::from_secs(self.sweep_age_s),
            every: Duration::from_secs(self.sweep_every_s),
        }
    }

    /// What webhooks may do.
    pub fn webhooks(&self) -> Terms {
        Terms {
            to_private: self.webhooks_to_private,
            attempts: self.webhook_attempts,
        }
    }

    /// Whose pods are told what their workers hold, and how; none unless asked for.
    pub fn pods(&self) -> Option<Access> {
        let prefix = self.pod_deletion_cost.clone()?;
        Some(Access {
            prefix,
            server: self.kubernetes_api.clone(),
            account: self.kubernetes_account.clone(),
        })
    }

    /// How the API is served.
    pub fn http(&self) -> Settings {
        Settings {
            longest_wait: Duration::from_secs(self.longest_wait_s),
        }
    }

    /// When and how often jobs are tried again.
    pub fn policy(&self) -> Policy {
        Policy {
            lease_ms: self.lease_ms,
            max_failures: self.max_failures,
            max_failed_workers: self.max_failed_workers,
            ..Policy::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command};

    use super::Config;

    #[test]
    fn every_flag_is_also_a_variable_of_the_environment() {
        let command = Config::augment_args(Command::new("serve"));
        command.clone().debug_assert();
        for argument in command
            .get_arguments()
            .filter(|a| a.get_long().is_some_and(|l| l != "help" && l != "version"))
        {
            let variable = argument
                .get_env()
                .map(|name| name.to_string_lossy().into_owned());
            let name = argument.get_id().as_str().to_uppercase();
            let family = if name.starts_with("OTLP_") {
                "OTEL_EXPORTER"
            } else {
                "ATELIER"
            };
            let expected = format!("{family}_{name}");
            assert_eq!(variable, Some(expected));
        }
    }
}
