//! The NATS server with JetStream on a folder of its own.

use std::{
    env, fs,
    io::Read,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    num::NonZero,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use rustix::process::Signal;

use super::ServerError;

/// Says on how many cores a Go program runs at once.
const CORES: &str = "GOMAXPROCS";
/// Cores of the machine for one of NATS: a farm of this machine has it carry few messages, and each core more looks for work that there is not.
const CORES_FOR_ONE: usize = 4;

/// A NATS server that can be started.
#[derive(Clone, Debug)]
pub struct Nats {
    binary: PathBuf,
    folder: PathBuf,
    port: u16,
}

impl Nats {
    /// Ends it in order.
    pub const STOP: Signal = Signal::TERM;

    /// Writes the configuration of a server on `127.0.0.1:port` that keeps its streams in `folder/store`.
    pub fn prepare(binary: &Path, folder: &Path, port: u16) -> Result<Self, ServerError> {
        let nats = Self {
            binary: binary.to_owned(),
            folder: folder.to_owned(),
            port,
        };
        fs::create_dir_all(folder).map_err(ServerError::file("create", folder))?;
        // No fsync per message: PostgreSQL is the truth, a lost message is sent again from there.
        let config = format!(
            "listen: \"127.0.0.1:{port}\"\nserver_name: \"atelier\"\n\
             jetstream {{ store_dir: {store}, max_mem: 256M, max_file: 4G }}\n",
            store = serde_json::Value::from(nats.store().display().to_string()),
        );
        let file = nats.config_file();
        fs::write(&file, config).map_err(ServerError::file("write", &file))?;
        Ok(nats)
    }

    /// Where the streams are.
    pub fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    fn config_file(&self) -> PathBuf {
        self.folder.join("nats.conf")
    }

    /// What starts it in the foreground.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("--config").arg(self.config_file());
        // Whoever sets it knows better.
        if env::var_os(CORES).is_none() {
            let all = thread::available_parallelism().map_or(1, NonZero::get);
            let cores = all.div_ceil(CORES_FOR_ONE);
            command.env(CORES, cores.to_string());
        }
        command
    }

    /// Whether clients are served: the server greets them only once its streams are back.
    pub fn is_ready(&self) -> bool {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let patience = Duration::from_secs(1);
        let Ok(mut stream) = TcpStream::connect_timeout(&address, patience) else {
            return false;
        };
        let mut greeting = [0; 5];
        stream.set_read_timeout(Some(patience)).is_ok()
            && stream.read_exact(&mut greeting).is_ok()
            && &greeting == b"INFO "
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}
