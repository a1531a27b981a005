//! The data folder of a farm: everything that outlives a restart, and who runs it now.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

/// A folder that holds one farm.
#[derive(Clone, Debug)]
pub struct DataDir {
    folder: PathBuf,
}

/// `farm.json`: how to reach the farm. Written when it is ready, kept when it stops, so that ports stay the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FarmInfo {
    /// Where the API is.
    pub url: String,
    /// Process that watches over the others.
    pub pid: u32,
    /// Ports of the API, one for each coordinator; `url` names the first.
    pub http_ports: Vec<u16>,
    /// Port of PostgreSQL.
    pub postgres_port: u16,
    /// Port of NATS.
    pub nats_port: u16,
    /// Workers that were asked for.
    pub workers: u32,
    /// When it was ready, RFC 3339.
    pub ready_at: String,
}

/// Held for as long as a farm runs on the folder; the kernel lets go of it when the process dies.
#[derive(Debug)]
pub struct DataLock {
    file: File,
}

impl Drop for DataLock {
    /// Closing alone would leave it to a process that is being started just now and has not let go of our files yet.
    fn drop(&mut self) {
        let _ = flock(&self.file, FlockOperation::NonBlockingUnlock);
    }
}

impl DataDir {
    /// The folder as named, made absolute; nothing is created.
    pub fn at(folder: &Path) -> Result<Self> {
        let folder = std::path::absolute(folder)
            .with_context(|| format!("cannot make {} absolute", folder.display()))?;
        Ok(Self { folder })
    }

    /// Creates the folders that are missing. Others may walk through (PostgreSQL may run as another user), not look.
    pub fn create(&self) -> Result<()> {
        let closed = [self.logs(), self.objects(), self.run()];
        for (folder, mode) in [(self.folder.clone(), 0o711)]
            .into_iter()
            .chain(closed.map(|folder| (folder, 0o700)))
        {
            if !folder.is_dir() {
                fs::DirBuilder::new()
                    .recursive(true)
                    .create(&folder)
                    .with_context(|| format!("cannot create {}", folder.display()))?;
                fs::set_permissions(&folder, fs::Permissions::from_mode(mode))
                    .with_context(|| format!("cannot set the rights of {}", folder.display()))?;
            }
        }
        Ok(())
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// One log file a process.
    pub fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    /// Pictures, plans and traces.
    pub fn objects(&self) -> PathBuf {
        self.folder.join("objects")
    }

    /// What only matters while the farm runs.
    pub fn run(&self) -> PathBuf {
        self.folder.join("run")
    }

    /// PostgreSQL's part.
    pub fn postgres(&self) -> PathBuf {
        self.folder.join("postgres")
    }

    /// NATS's part.
    pub fn nats(&self) -> PathBuf {
        self.folder.join("nats")
    }

    /// The key of the farm's own user, readable by that user only.
    pub fn key_file(&self) -> PathBuf {
        self.folder.join("key")
    }

    fn lock_file(&self) -> PathBuf {
        self.folder.join("lock")
    }

    fn info_file(&self) -> PathBuf {
        self.folder.join("farm.json")
    }

    /// Takes the folder for this process; none if another one has it.
    pub fn lock(&self) -> Result<Option<DataLock>> {
        let path = self.lock_file();
        let open = || -> io::Result<Option<File>> {
            let mut file = File::options()
                .create(true)
                .read(true)
                .write(true)
                .truncate(false)
                .open(&path)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
            file.set_len(0)?;
            file.rewind()?;
            file.write_all(std::process::id().to_string().as_bytes())?;
            Ok(Some(file))
        };
        let file = open().with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(file.map(|file| DataLock { file }))
    }

    /// Process that runs a farm on this folder, if one does. 0 while it has only just begun.
    pub fn runner(&self) -> Result<Option<u32>> {
        let path = self.lock_file();
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context(format!("cannot open {}", path.display())),
        };
        // A shared lock is refused only while somebody holds the exclusive one.
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(None),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut text = String::new();
                file.read_to_string(&mut text)?;
                Ok(Some(text.trim().parse().unwrap_or(0)))
            }
            Err(error) => Err(error).context(format!("cannot look at {}", path.display())),
        }
    }

    /// The farm that runs on this folder and was ready; none while it is starting.
    pub fn running(&self) -> Result<Option<FarmInfo>> {
        let runner = self.runner()?;
        Ok(self.info().filter(|info| Some(info.pid) == runner))
    }

    /// What the last farm that was ready left here; it may be long gone, and its ports somebody else's.
    pub fn info(&self) -> Option<FarmInfo> {
        serde_json::from_slice(&fs::read(self.info_file()).ok()?).ok()
    }

    /// Leaves word of a farm that is ready; whole or not at all.
    pub fn write_info(&self, info: &FarmInfo) -> Result<()> {
        let (path, half) = (self.info_file(), self.folder.join("farm.json.half"));
        fs::write(&half, serde_json::to_vec_pretty(info)?)
            .and_then(|()| fs::rename(&half, &path))
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_farm_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::at(&folder.path().join("farm")).unwrap();
        assert_eq!(data.runner().unwrap(), None, "no folder, no farm");
        data.create().unwrap();
        let lock = data.lock().unwrap();
        assert!(lock.is_some());
        assert!(data.lock().unwrap().is_none(), "taken twice");
        assert_eq!(data.runner().unwrap(), Some(std::process::id()));
        let mut info = FarmInfo {
            url: "http://127.0.0.1:1".into(),
            pid: 1,
            http_ports: vec![1],
            postgres_port: 2,
            nats_port: 3,
            workers: 1,
            ready_at: String::new(),
        };
        data.write_info(&info).unwrap();
        assert_eq!(
            data.running().unwrap(),
            None,
            "word of the one before while this one starts"
        );
        info.pid = std::process::id();
        data.write_info(&info).unwrap();
        assert_eq!(data.running().unwrap().as_ref(), Some(&info));
        drop(lock);
        assert_eq!(data.runner().unwrap(), None);
        assert_eq!(data.running().unwrap(), None, "what it left is no farm");
        assert_eq!(data.info(), Some(info));
        assert!(data.lock().unwrap().is_some(), "free again");
    }
}
