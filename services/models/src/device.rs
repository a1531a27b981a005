//! Devices: what was found, and which one is used. One build serves hosts with and without a GPU.

mod memory;

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use tch::{Cuda, Device};

pub use memory::{Memory, give_back, memory, resident};

/// The GPU half of libtorch, beside the CPU half where it is installed.
const CUDA_LIBRARY: &str = "libtorch_cuda.so";

/// Why a device cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// Not a name of a device.
    #[error("unknown device {0:?}: use auto, cpu or cuda:N")]
    Unknown(String),
    /// A GPU was asked for by name and there is none.
    #[error("{wanted} cannot be used: {reason}")]
    Missing {
        /// What was asked for.
        wanted: String,
        /// What was found instead.
        reason: String,
    },
}

/// Finds the device called `name`: `cpu`, `cuda:N`, `cuda` (the first) or `auto` (the first GPU that works, else the CPU).
///
/// Loads libtorch's GPU half on first use where it is installed. Logs what was chosen and why.
pub fn open(name: &str) -> Result<Device, DeviceError> {
    let index = match name {
        "cpu" => {
            tracing::info!(
                device = "cpu",
                threads = threads(),
                "computing on the CPU, as asked"
            );
            memory::keep_freed();
            return Ok(Device::Cpu);
        }
        "auto" | "cuda" => 0,
        other => other
            .strip_prefix("cuda:")
            .and_then(|index| index.parse::<u16>().ok())
            .ok_or_else(|| DeviceError::Unknown(name.to_owned()))?
            .into(),
    };
    match gpu(index) {
        Ok(device) => {
            tracing::info!(device = %self::name(device), gpus = Cuda::device_count(), "computing on a GPU");
            Ok(device)
        }
        Err(reason) if name == "auto" => {
            tracing::info!(device = "cpu", threads = threads(), %reason, "computing on the CPU");
            memory::keep_freed();
            Ok(Device::Cpu)
        }
        Err(reason) => Err(DeviceError::Missing {
            wanted: name.to_owned(),
            reason,
        }),
    }
}

/// The name that [`open`] takes: `cpu`, `cuda:0`.
pub fn name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        Device::Cpu => "cpu".into(),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// Threads that one operation on the CPU uses.
pub fn threads() -> usize {
    usize::try_from(tch::get_num_threads()).unwrap_or(1)
}

/// Sets the threads that one operation on the CPU uses, 1 to 1024; call it before the first operation.
pub fn set_threads(threads: usize) {
    tch::set_num_threads(threads.clamp(1, 1024) as i32);
}

fn gpu(index: usize) -> Result<Device, String> {
    load_cuda()?;
    let count = usize::try_from(Cuda::device_count()).unwrap_or(0);
    if !Cuda::is_available() || count == 0 {
        return Err("libtorch finds no GPU (no driver, or no device given to this process)".into());
    }
    if index >= count {
        return Err(format!("there are {count} GPUs, counted from 0"));
    }
    Ok(Device::Cuda(index))
}

/// Loads the GPU half of libtorch once; says why not when it cannot.
fn load_cuda() -> Result<(), String> {
    static LOADED: OnceLock<Result<(), String>> = OnceLock::new();
    LOADED
        .get_or_init(|| {
            // A build against a GPU libtorch has it linked already.
            if Cuda::is_available() {
                return Ok(());
            }
            let folder = libtorch_folder()
                .ok_or("where libtorch is loaded from is not known on this system")?;
            load_from(&folder)
        })
        .clone()
}

fn load_from(folder: &Path) -> Result<(), String> {
    let path = folder.join(CUDA_LIBRARY);
    if !path.is_file() {
        return Err(format!(
            "{CUDA_LIBRARY} is not beside libtorch in {}: this is its CPU build",
            folder.display()
        ));
    }
    // SAFETY: the library is part of the libtorch that this process already runs; its initialisers only register the GPU
    // operators with it, and it is never unloaded.
    let library = unsafe { open_library(&path) };
    match library {
        Ok(library) => {
            std::mem::forget(library);
            Ok(())
        }
        Err(error) => Err(format!("{} does not load: {error}", path.display())),
    }
}

/// # Safety
/// As for any library: its initialisers run.
#[cfg(unix)]
unsafe fn open_library(path: &Path) -> Result<libloading::os::unix::Library, libloading::Error> {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    // Its symbols must be seen by libraries that it loads later itself.
    // SAFETY: passed on to the caller.
    unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) }
}

/// # Safety
/// As for any library: its initialisers run.
#[cfg(not(unix))]
unsafe fn open_library(path: &Path) -> Result<libloading::Library, libloading::Error> {
    // SAFETY: passed on to the caller.
    unsafe { libloading::Library::new(path) }
}

/// The folder that `libtorch_cpu.so` is mapped from.
fn libtorch_folder() -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    folder_in_maps(&maps)
}

fn folder_in_maps(maps: &str) -> Option<PathBuf> {
    maps.lines()
        .filter_map(|line| line.find('/').map(|at| Path::new(&line[at..])))
        .find(|path| {
            path.file_name()
                .is_some_and(|file| file == "libtorch_cpu.so")
        })
        .and_then(Path::parent)
        .map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_strictly() {
        assert_eq!(open("cpu").unwrap(), Device::Cpu);
        for wrong in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "CPU"] {
            assert!(
                matches!(open(wrong), Err(DeviceError::Unknown(_))),
                "{wrong:?}"
            );
        }
        assert_eq!(name(Device::Cuda(3)), "cuda:3");
    }

    #[test]
    fn auto_always_finds_something_and_a_missing_gpu_is_explained() {
        let device = open("auto").unwrap();
        let error = open("cuda:900").unwrap_err();
        assert!(
            error.to_string().starts_with("cuda:900 cannot be used: "),
            "{error}"
        );
        if device == Device::Cpu {
            assert!(matches!(open("cuda"), Err(DeviceError::Missing { .. })));
        }
    }

    #[test]
    fn libtorch_is_found_where_it_is_loaded() {
        let maps = "7f00-7f01 r-xp 00000000 08:01 42   /opt/libs with space/libtorch_cpu.so\n";
        assert_eq!(
            folder_in_maps(maps).unwrap(),
            Path::new("/opt/libs with space")
        );
        assert!(folder_in_maps("7f00-7f01 rw-p 00000000 00:00 0 [heap]\n").is_none());
        // Touching libtorch maps it.
        threads();
        assert!(libtorch_folder().unwrap().join("libtorch_cpu.so").is_file());
    }

    #[test]
    fn a_broken_gpu_library_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        assert!(load_from(folder.path()).unwrap_err().contains("CPU build"));
        std::fs::write(folder.path().join(CUDA_LIBRARY), b"not a library").unwrap();
        assert!(
            load_from(folder.path())
                .unwrap_err()
                .contains("does not load")
        );
    }
}
