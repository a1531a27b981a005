//! The command line of the worker; every flag is also a variable of the environment.

use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use atelier_platform::telemetry::LogFormat;
use atelier_proto::job::JobKind;
use clap::Parser;

/// Takes jobs from the farm and computes them on one device.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "atelier-worker",
    version,
    after_help = "One checkpoint without a farm: atelier-worker try --help"
)]
pub struct Config {
    /// NATS servers, separated by commas
    #[arg(
        long,
        env = "ATELIER_NATS_URL",
        default_value = "nats://127.0.0.1:4222",
        hide_env_values = true
    )]
    pub nats_url: String,

    /// NATS credentials file, where the server wants one
    #[arg(long, env = "ATELIER_NATS_CREDENTIALS")]
    pub nats_credentials: Option<PathBuf>,

    /// Start of the subjects on which answers of NATS come, where the server gives this user one of its own
    #[arg(long, env = "ATELIER_NATS_INBOX", default_value = "_INBOX")]
    pub nats_inbox: String,

    /// Copies of the job stream: 1, or 3 on a NATS cluster
    #[arg(long, env = "ATELIER_NATS_REPLICAS", default_value_t = 1)]
    pub nats_replicas: usize,

    /// Object store: file:///folder or s3://bucket (with the AWS_* variables)
    #[arg(long, env = "ATELIER_STORE_URL")]
    pub store_url: String,

    /// Prefix of the farm's names on NATS
    #[arg(long, env = "ATELIER_PREFIX", default_value = "atelier")]
    pub prefix: String,

    /// Kinds of jobs to take, separated by commas
    #[arg(long, env = "ATELIER_ROLES", value_delimiter = ',', default_value = "plan,render,critique", value_parser = JobKind::from_str)]
    pub roles: Vec<JobKind>,

    /// What computes: torch, or double (a test double that draws coloured boxes)
    #[arg(long, env = "ATELIER_ENGINE", default_value = "torch", value_parser = EngineKind::from_str)]
    pub engine: EngineKind,

    /// Folder of the model, or of a FLUX.2 klein or Z-Image pipeline (--roles plan,render)
    #[arg(
        long,
        env = "ATELIER_MODEL",
        default_value = "deploy/models/atelier-mini"
    )]
    pub model: PathBuf,

    /// Language model that the model was trained with (GGUF); a pipeline brings its own
    #[arg(long, env = "ATELIER_LANGUAGE")]
    pub language: Option<PathBuf>,

    /// Folder of a Qwen3-VL that answers checks in words (counts and places stay with the model's detector); without it, the folder `critic`
    /// of the model where there is one
    #[arg(long, env = "ATELIER_CRITIC", value_name = "DIR")]
    pub critic: Option<PathBuf>,

    /// Folder of a library that things are drawn from: index.json and one picture a thing (WebP or PNG with transparency), as
    /// deploy/models/atelier-mini/props; without it, the model's own where it has one. For models that read pictures (not Z-Image)
    #[arg(long, env = "ATELIER_PROPS", value_name = "DIR")]
    pub props: Option<PathBuf>,

    /// What to compute on: auto, cpu, cuda:0
    #[arg(long, env = "ATELIER_DEVICE", default_value = "auto")]
    pub device: String,

    /// Threads of the engine on a CPU; all cores unless given
    #[arg(long, env = "ATELIER_THREADS")]
    pub threads: Option<usize>,

    /// Milliseconds between signs of life; shorter leases make it shorter
    #[arg(long, env = "ATELIER_HEARTBEAT_MS", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(50..=60_000))]
    pub heartbeat_ms: u64,

    /// Milliseconds to finish or return jobs after SIGTERM
    #[arg(long, env = "ATELIER_DRAIN_MS", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(100..=3_600_000))]
    pub drain_ms: u64,

    /// Most drawings of equal size and steps to make at once, when as many wait; what suits the engine unless given
    #[arg(long, env = "ATELIER_BATCH", value_parser = clap::value_parser!(u64).range(1..=64))]
    pub batch: Option<u64>,

    /// What is used again instead of being made again: drafts of plans, what was computed of texts, and drawings; auto leaves out drawings where
    /// drawing takes no longer than looking, none leaves out all
    #[arg(long, env = "ATELIER_CACHE", default_value = "auto", value_parser = Caching::from_str)]
    pub cache: Caching,

    /// Leave out of pictures' files what they were made with: prompt, plan, model, seed (`atelier inspect` reads it back)
    #[arg(long, env = "ATELIER_BARE_PICTURES")]
    pub bare_pictures: bool,

    /// Milliseconds without a step after which the device counts as hung: the attempt fails and the worker ends with exit code 3
    #[arg(long, env = "ATELIER_STEP_TIMEOUT_MS", default_value_t = 600_000, value_parser = clap::value_parser!(u64).range(100..=86_400_000))]
    pub step_timeout_ms: u64,

    /// Name of this worker for people; host and process id unless given
    #[arg(long, env = "ATELIER_WORKER_NAME")]
    pub name: Option<String>,

    /// File that is written, as JSON, once the worker is ready
    #[arg(long, env = "ATELIER_ANNOUNCE")]
    pub announce: Option<PathBuf>,

    /// Address of /metrics, /healthz and /readyz
    #[arg(long, env = "ATELIER_ADMIN_LISTEN")]
    pub admin_listen: Option<SocketAddr>,

    /// Milliseconds of a step of the test double
    #[arg(long, env = "ATELIER_DOUBLE_STEP_MS", default_value_t = 0)]
    pub double_step_ms: u64,

    /// Model name of the test double
    #[arg(long, env = "ATELIER_DOUBLE_MODEL", default_value = "atelier-mini")]
    pub double_model: String,

    /// Set to 1 to allow the test double
    #[arg(
        long,
        env = "ATELIER_ALLOW_TEST_DOUBLE",
        default_value = "0",
        hide = true
    )]
    pub allow_test_double: String,

    /// Receiver of traces over OTLP, as http://collector:4318; none are exported unless given
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,

    /// What to log, for example info,atelier_worker=debug
    #[arg(long, env = "ATELIER_LOG", default_value = "info")]
    pub log: String,

    /// How log lines look: human or json
    #[arg(long, env = "ATELIER_LOG_FORMAT", default_value = "human", value_parser = LogFormat::from_str)]
    pub log_format: LogFormat,
}

/// What computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// The networks on libtorch.
    Torch,
    /// The test double.
    Double,
}

impl FromStr for EngineKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "torch" => Ok(Self::Torch),
            "double" => Ok(Self::Double),
            other => Err(format!("{other:?} is not an engine: torch, double")),
        }
    }
}

/// What is used again instead of being made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caching {
    /// Nothing.
    None,
    /// What takes longer to make than to look for.
    Auto,
    /// Everything that can be.
    All,
}

impl FromStr for Caching {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "auto" => Ok(Self::Auto),
            "all" => Ok(Self::All),
            other => Err(format!("{other:?} is none of: auto, all, none")),
        }
    }
}

impl Config {
    /// Time between SIGTERM and the hard stop.
    pub fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms)
    }

    /// Longest time between signs of life.
    pub fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.heartbeat_ms)
    }

    /// How long the device may go without a step.
    pub fn step_timeout(&self) -> Duration {
        Duration::from_millis(self.step_timeout_ms)
    }

    /// Most drawings at once; none leaves it to the engine.
    pub fn most_at_once(&self) -> Option<usize> {
        self.batch.and_then(|most| usize::try_from(most).ok())
    }

    /// Name for people.
    pub fn display_name(&self) -> String {
        let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        self.name.clone().unwrap_or_else(|| {
            let host = host();
            let host = match host.trim() {
                "" => "worker",
                host => host,
            };
            format!("{host}-{}", std::process::id())
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed_and_its_defaults_parse() {
        Config::command().debug_assert();
        let config = Config::parse_from([
            "atelier-worker",
            "--store-url",
            "file:///tmp/x",
            "--roles",
            "render,plan",
            "--double-model",
            "other",
        ]);
        assert_eq!(config.roles, [JobKind::Render, JobKind::Plan]);
        assert_eq!(config.engine, EngineKind::Torch);
        assert_eq!(config.double_model, "other");
        assert!(!config.display_name().is_empty());
    }
}
