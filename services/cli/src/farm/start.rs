//! From nothing to a farm that is ready: in which order its processes are started, and stopped again.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use rustix::process::Signal;
use tokio_util::sync::CancellationToken;

use super::{Admin, DataDir, FarmInfo, Ports, Service, Spec, model::Model};
use crate::{
    client::{ApiKey, Client, Place, Wanted},
    exit::{KEY, status},
    servers::{Durability, Nats, Parts, Postgres},
};

/// How long one process may take until it is ready: a model is read from a cold disk.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long coordinators are waited for until they know the workers, which say every other second that they live.
const HEARD: Duration = Duration::from_secs(15);
/// A process that ends this often before it was ever ready will not come.
const HOPELESS: u32 = 3;

/// What kind of farm.
#[derive(Clone, Debug)]
pub struct FarmOptions {
    /// Coordinator processes.
    pub coordinators: u32,
    /// Worker processes.
    pub workers: u32,
    /// Port of the API; none takes the last one, or a free one.
    pub port: Option<u16>,
    /// Whether other ports may be taken instead of recorded ones that are not free.
    pub free_ports: bool,
    /// `auto`, `cpu`, `cuda:0`, ..
    pub device: String,
    /// `torch`, or `double` in tests.
    pub engine: String,
    /// Folder of the model; none is the one that is shipped.
    pub model: Option<PathBuf>,
    /// Language model of the planner; none is the one that setup fetched.
    pub language: Option<PathBuf>,
    /// Critic that answers checks in words; none is the model's own.
    pub critic: Option<PathBuf>,
    /// Library that things are drawn from; none is the model's own.
    pub props: Option<PathBuf>,
}

/// A running farm. Stopped when dropped.
pub struct Farm {
    /// In the order they were started.
    services: Vec<Service>,
    data: DataDir,
    stop: CancellationToken,
    say: fn(String),
}

impl Farm {
    /// Starts everything in `data` and returns once a request could be drawn. `say` hears of every step.
    pub async fn start(
        data: &DataDir,
        parts: &Parts,
        options: &FarmOptions,
        stop: &CancellationToken,
        say: fn(String),
    ) -> Result<(Self, FarmInfo)> {
        let before = Instant::now();
        let ports = Ports::choose(
            data.info().as_ref(),
            options.coordinators,
            options.port,
            options.free_ports,
        )?;
        // What can be missing is looked for before anything runs.
        let coordinator = parts.program("atelier-coordinator")?;
        let worker = parts.program("atelier-worker")?;
        let model = Model::find(parts, options)?;
        let workers = worker_arguments(&model, parts, options)?;
        if !model.looks {
            say("nobody will look at pictures: --critic DIR names a model that does, and requests with --think off need none".into());
        }
        let nats = Nats::prepare(&parts.nats()?, &data.nats(), ports.nats)?;
        let first = !data.postgres().join("cluster").is_dir();
        if first {
            say("setting up a database (only once)".into());
        }
        let install = parts.postgres()?;
        let postgres =
            Postgres::prepare(&install, &data.postgres(), ports.postgres, Durability::Full)?;
        if let Some(note) = &postgres.note {
            say(note.clone());
        }
        let mut farm = Self {
            services: Vec::new(),
            data: data.clone(),
            stop: stop.clone(),
            say,
        };
        farm.start_servers(&postgres, &nats).await?;

        let shared = [
            "--nats-url".to_owned(),
            nats.url(),
            "--store-url".into(),
            format!("file://{}", data.objects().display()),
            "--prefix".into(),
            "atelier".into(),
        ];
        let database = postgres.url("postgres");
        for (index, port) in ports.http.iter().enumerate() {
            let own = [
                "--listen".to_owned(),
                format!("127.0.0.1:{port}"),
                "--model".into(),
                model.name.clone(),
            ];
            // The first keeps the short name: most farms have one.
            let name = match index {
                0 => "coordinator".to_owned(),
                _ => format!("coordinator-{}", index + 1),
            };
            let arguments = [shared.to_vec(), own.to_vec()].concat();
            farm.add(&name, &coordinator, arguments, Some(database.clone()));
        }
        for number in 1..=options.workers {
            let arguments = [shared.to_vec(), workers.clone()].concat();
            farm.add(&format!("worker-{number}"), &worker, arguments, None);
        }
        for index in 2..farm.services.len() {
            let name = farm.services[index].name.clone();
            let announce = farm.announce(&name);
            farm.ready(index, |_| {
                fs::metadata(&announce).is_ok_and(|meta| meta.len() > 0)
            })
            .await?;
        }
        let url = format!("http://127.0.0.1:{}", ports.http[0]);
        if !key_fits(data, &url).await? {
            Admin::new(coordinator, database).make_local_key(data)?;
            say(format!("made a key: {}", data.key_file().display()));
        }
        for port in &ports.http {
            let address = format!("http://127.0.0.1:{port}");
            if !farm.heard(&address, options.workers).await? {
                say(format!(
                    "not every worker was heard of within {} s: `atelier workers` says which",
                    HEARD.as_secs()
                ));
            }
        }
        let info = FarmInfo {
            url,
            pid: std::process::id(),
            http_ports: ports.http,
            postgres_port: ports.postgres,
            nats_port: ports.nats,
            workers: options.workers,
            ready_at: jiff::Timestamp::from_second(jiff::Timestamp::now().as_second())?.to_string(),
        };
        data.write_info(&info)?;
        say(format!(
            "farm ready in {:.1} s",
            before.elapsed().as_secs_f64()
        ));
        Ok((farm, info))
    }

    async fn start_servers(&mut self, postgres: &Postgres, nats: &Nats) -> Result<()> {
        let (theirs, database) = (postgres.clone(), postgres.clone());
        self.watch("postgres", move || theirs.command(), Postgres::STOP, 30);
        let (theirs, queue) = (nats.clone(), nats.clone());
        self.watch("nats", move || theirs.command(), Nats::STOP, 15);
        self.ready(0, move |service| {
            service.pid().is_some_and(|pid| database.is_ready(pid))
        })
        .await?;
        self.ready(1, move |_| queue.is_ready()).await
    }

    /// Starts one of our own programs. The database's address holds a password: anybody may read a command line, so it
    /// goes by the environment.
    fn add(
        &mut self,
        name: &str,
        program: &Path,
        mut arguments: Vec<String>,
        database: Option<String>,
    ) {
        let (program, announce) = (program.to_owned(), self.announce(name));
        let _ = fs::remove_file(&announce);
        arguments.extend(["--announce".into(), announce.display().to_string()]);
        let command = move || {
            let mut command = Command::new(&program);
            command.args(&arguments);
            if let Some(url) = &database {
                command.env("ATELIER_DATABASE_URL", url);
            }
            // A worker sees to that itself, by starting once more: this spares it that.
            let said = ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT"].map(std::env::var_os);
            if said.iter().all(Option::is_none) {
                command.env("OMP_WAIT_POLICY", "passive");
            }
            command
        };
        // Longer than they take by themselves to finish what they have in hand.
        self.watch(name, command, Signal::TERM, 30);
    }

    fn announce(&self, name: &str) -> PathBuf {
        self.data.run().join(format!("{name}.announce"))
    }

    fn watch(
        &mut self,
        name: &str,
        command: impl Fn() -> Command + Send + 'static,
        stop: Signal,
        patience_s: u64,
    ) {
        let spec = Spec {
            name: name.to_owned(),
            log: self.data.logs().join(format!("{name}.log")),
            command: Box::new(command),
            stop,
            patience: Duration::from_secs(patience_s),
        };
        self.services.push(Service::start(spec, self.say));
    }

    /// Waits for so long, unless the farm is to stop.
    async fn pause(&self, time: Duration) -> Result<()> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => bail!("stopped while starting"),
            () = tokio::time::sleep(time) => Ok(()),
        }
    }

    /// Waits until the coordinator at `url` has heard of so many workers; says whether it did in time.
    async fn heard(&self, url: &str, workers: u32) -> Result<bool> {
        let Some(client) = client(&self.data, url)? else {
            return Ok(false);
        };
        let before = Instant::now();
        while client.workers().await?.len() < workers as usize {
            if before.elapsed() > HEARD {
                return Ok(false);
            }
            self.pause(Duration::from_millis(50)).await?;
        }
        Ok(true)
    }

    /// Waits until a service is ready; gives up when it keeps ending.
    async fn ready(&self, index: usize, ready: impl Fn(&Service) -> bool) -> Result<()> {
        let service = &self.services[index];
        let before = Instant::now();
        loop {
            if ready(service) {
                (self.say)(format!("{} is ready", service.name));
                return Ok(());
            }
            let (ends, last) = service.ends();
            if ends >= HOPELESS {
                let (name, last) = (&service.name, last.unwrap_or_default());
                bail!(
                    "{name} {last} {ends} times. Its last lines were:\n{}",
                    service.log_tail()
                );
            }
            if before.elapsed() > PATIENCE {
                let (name, seconds) = (&service.name, PATIENCE.as_secs());
                bail!(
                    "{name} was not ready after {seconds} s. Its last lines were:\n{}",
                    service.log_tail()
                );
            }
            self.pause(Duration::from_millis(10)).await?;
        }
    }
}

impl Drop for Farm {
    /// In reverse: workers give back what they hold while there still is a coordinator that listens.
    fn drop(&mut self) {
        while let Some(mut service) = self.services.pop() {
            service.stop();
            (self.say)(format!("{} stopped", service.name));
        }
    }
}

fn worker_arguments(model: &Model, parts: &Parts, options: &FarmOptions) -> Result<Vec<String>> {
    let language = match &options.language {
        Some(file) => Some(file.clone()),
        // A pipeline brings its own.
        None if model.is_pipeline => None,
        None => Some(parts.language()?),
    };
    let roles = match model.looks {
        true => "plan,render,critique",
        false => "plan,render",
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = (cores / options.workers.max(1) as usize).max(1);
    let pairs = [
        ("--roles", roles.to_owned()),
        ("--engine", options.engine.clone()),
        ("--model", model.folder.display().to_string()),
        ("--device", options.device.clone()),
        ("--threads", threads.to_string()),
    ];
    let places = [
        ("--language", language.as_ref()),
        ("--critic", options.critic.as_ref()),
        ("--props", options.props.as_ref()),
    ];
    let given = |(flag, place): (_, Option<&PathBuf>)| Some((flag, place?.display().to_string()));
    Ok(pairs
        .into_iter()
        .chain(places.into_iter().filter_map(given))
        .flat_map(|(flag, value)| [flag.to_owned(), value])
        .collect())
}

/// A client of the farm at `url` with the key in the data folder; none where there is no key.
fn client(data: &DataDir, url: &str) -> Result<Option<Client>> {
    let file = data.key_file();
    if !file.is_file() {
        return Ok(None);
    }
    let Ok(key) = ApiKey::in_file(&file) else {
        return Ok(None);
    };
    Client::new(Place {
        url: url.to_owned(),
        key: Some(key),
        hint: "It has just been started.".into(),
    })
    .map(Some)
}

/// Whether the key in the data folder opens the farm at `url`; the database may be another one than last time.
async fn key_fits(data: &DataDir, url: &str) -> Result<bool> {
    let Some(client) = client(data, url)? else {
        return Ok(false);
    };
    let wanted = Wanted {
        limit: 1,
        ..Wanted::default()
    };
    match client.list(wanted).await {
        Err(error) if status(&error) == KEY => Ok(false),
        Err(error) => Err(error),
        Ok(_) => Ok(true),
    }
}
