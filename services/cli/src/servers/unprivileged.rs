//! Somebody else to run PostgreSQL as when we are root, and folders that this somebody can reach.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    os::unix::{
        fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
};

use super::ServerError;

/// A user without rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    uid: u32,
    gid: u32,
}

impl Identity {
    /// Who PostgreSQL has to run as: nobody in particular unless this process is root's.
    pub fn needed() -> Result<Option<Self>, ServerError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let nobody = users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let (name, _, uid, gid) = (
                fields.next()?,
                fields.next()?,
                fields.next()?,
                fields.next()?,
            );
            let (uid, gid) = (uid.parse().ok()?, gid.parse().ok()?);
            (name == "nobody" && uid != 0).then_some(Self { uid, gid })
        });
        nobody.map(Some).ok_or(ServerError::NoUnprivilegedUser)
    }

    /// Makes `command` run as this user.
    pub fn run(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    /// Gives a file or folder to this user.
    pub fn give(self, path: &Path) -> Result<(), ServerError> {
        chown(path, Some(self.uid), Some(self.gid)).map_err(ServerError::file("give away", path))
    }

    /// Whether this user can walk down to `path` and through it.
    pub fn walks(self, path: &Path) -> bool {
        path.ancestors().all(|part| self.may(part, 0o1))
    }

    /// Whether this user can walk down to `path` and read it.
    pub fn reads(self, path: &Path) -> bool {
        path.ancestors().skip(1).all(|part| self.may(part, 0o1)) && self.may(path, 0o4)
    }

    /// Whether the mode of one file or folder grants the wanted bits; not so if it does not exist.
    fn may(self, path: &Path, wanted: u32) -> bool {
        fs::metadata(path).is_ok_and(|meta| {
            let shift = match () {
                () if meta.uid() == self.uid => 6,
                () if meta.gid() == self.gid => 3,
                () => 0,
            };
            (meta.mode() >> shift) & wanted == wanted
        })
    }
}

/// A folder outside of everybody's home for what belongs to `original`, an absolute path; the same at every call.
pub fn outside(original: &Path) -> Result<PathBuf, ServerError> {
    let mut hasher = DefaultHasher::new();
    original.hash(&mut hasher);
    // Not /var/tmp, where files that nobody reads are cleaned away: this may hold the farm's only truth.
    let folder = PathBuf::from(format!("/var/lib/atelier-{:016x}", hasher.finish()));
    if !folder.is_dir() {
        fs::DirBuilder::new()
            .mode(0o711)
            .create(&folder)
            .map_err(ServerError::file("create", &folder))?;
        let _ = fs::set_permissions(&folder, fs::Permissions::from_mode(0o711));
    }
    Ok(folder)
}

/// Copies `from` to `to` for anybody to read; whole or not at all.
pub fn copy_for_all(from: &Path, to: &Path) -> Result<(), ServerError> {
    if to.exists() {
        return Ok(());
    }
    let half = to.with_extension("half");
    if half.exists() {
        fs::remove_dir_all(&half).map_err(ServerError::file("remove", &half))?;
    }
    copy_tree(from, &half)?;
    fs::rename(&half, to).map_err(ServerError::file("rename", &half))
}

fn copy_tree(from: &Path, to: &Path) -> Result<(), ServerError> {
    let meta = fs::metadata(from).map_err(ServerError::file("read", from))?;
    let executable = meta.is_dir() || meta.mode() & 0o100 != 0;
    if meta.is_dir() {
        fs::create_dir(to).map_err(ServerError::file("create", to))?;
        for entry in fs::read_dir(from).map_err(ServerError::file("read", from))? {
            let entry = entry.map_err(ServerError::file("read", from))?;
            copy_tree(&entry.path(), &to.join(entry.file_name()))?;
        }
    } else {
        fs::copy(from, to).map_err(ServerError::file("copy", from))?;
    }
    let mode = if executable { 0o755 } else { 0o644 };
    fs::set_permissions(to, fs::Permissions::from_mode(mode))
        .map_err(ServerError::file("change", to))
}
