//! How much memory of a device is free.

use std::fs;

use tch::Device;

/// Memory of a device, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// What can be taken now.
    pub free: u64,
    /// What there is at all.
    pub total: u64,
}

/// Memory of a device; none where the system does not say.
pub fn memory(device: Device) -> Option<Memory> {
    match device {
        Device::Cuda(index) => of_gpu(index),
        _ => of_host(),
    }
}

/// The host's, or what its container leaves of it.
fn of_host() -> Option<Memory> {
    let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
    let host = Memory {
        free: field(&meminfo, "MemAvailable:")? << 10,
        total: field(&meminfo, "MemTotal:")? << 10,
    };
    let number = |file: &str| fs::read_to_string(file).ok()?.trim().parse::<u64>().ok();
    // Version 2 of control groups, then version 1; a group without a limit says `max` or a number above all memory.
    let group = number("/sys/fs/cgroup/memory.max")
        .zip(number("/sys/fs/cgroup/memory.current"))
        .or_else(|| {
            number("/sys/fs/cgroup/memory/memory.limit_in_bytes")
                .zip(number("/sys/fs/cgroup/memory/memory.usage_in_bytes"))
        });
    Some(match group {
        Some((limit, used)) if limit < host.total => Memory {
            free: limit.saturating_sub(used).min(host.free),
            total: limit,
        },
        _ => host,
    })
}

/// A number of kilobytes in /proc/meminfo.
fn field(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Asks the CUDA runtime that libtorch has loaded.
#[cfg(unix)]
fn of_gpu(index: usize) -> Option<Memory> {
    use std::os::raw::c_int;

    use libloading::os::unix::Library;

    type SetDevice = unsafe extern "C" fn(c_int) -> c_int;
    type MemGetInfo = unsafe extern "C" fn(*mut usize, *mut usize) -> c_int;

    let index = c_int::try_from(index).ok()?;
    let process = Library::this();
    // SAFETY: both are functions of the CUDA runtime with these signatures since its first version
    // (<https://docs.nvidia.com/cuda/cuda-runtime-api/>); the process keeps the library for as long as it runs.
    let (set_device, get) = unsafe {
        let set_device = process.get::<SetDevice>(b"cudaSetDevice\0").ok()?;
        let get = process.get::<MemGetInfo>(b"cudaMemGetInfo\0").ok()?;
        (set_device, get)
    };
    let (mut free, mut total) = (0_usize, 0_usize);
    // SAFETY: the pointers are to numbers that live until the call returns.
    let done = unsafe { set_device(index) == 0 && get(&raw mut free, &raw mut total) == 0 };
    done.then_some(Memory {
        free: free as u64,
        total: total as u64,
    })
}

#[cfg(not(unix))]
fn of_gpu(_index: usize) -> Option<Memory> {
    None
}

/// Bytes of this process that are in the host's memory; none where the system does not say.
pub fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    Some(field(&status, "VmRSS:")? << 10)
}

/// Gives what was freed back to the system. The C library keeps it otherwise: after a model has gone, most of its size. Where there is no such
/// call (it is glibc's), nothing happens. A GPU's memory stays with libtorch, which uses it again.
pub fn give_back() {
    #[cfg(unix)]
    {
        use std::os::raw::c_int;

        use libloading::os::unix::Library;

        type MallocTrim = unsafe extern "C" fn(usize) -> c_int;

        // SAFETY: the function has this signature wherever it exists (malloc_trim(3)), may be called at any time, and the C library is never
        // unloaded.
        unsafe {
            if let Ok(trim) = Library::this().get::<MallocTrim>(b"malloc_trim\0") {
                trim(0);
            }
        }
    }
}

/// Largest tensor, in bytes, that is made of memory that the C library keeps. It maps larger ones anew each time.
const KEPT_TENSOR: i32 = 64 << 20;

/// Most bytes that the C library keeps at the end of its memory.
const KEPT_FREE: i32 = 256 << 20;

/// Has the C library keep what is freed for the next tensor: fresh pages cost up to a quarter of a network's time on a CPU. [`give_back`] still
/// empties it. Where there is no such call (it is glibc's), nothing happens.
pub fn keep_freed() {
    #[cfg(unix)]
    {
        use std::os::raw::c_int;

        use libloading::os::unix::Library;

        type MallOpt = unsafe extern "C" fn(c_int, c_int) -> c_int;
        /// As `malloc.h` has them.
        const M_TRIM_THRESHOLD: c_int = -1;
        const M_MMAP_THRESHOLD: c_int = -3;

        // SAFETY: the function has this signature wherever it exists (mallopt(3)), may be called at any time, and the C library is never
        // unloaded.
        unsafe {
            if let Ok(set) = Library::this().get::<MallOpt>(b"mallopt\0") {
                set(M_MMAP_THRESHOLD, KEPT_TENSOR);
                set(M_TRIM_THRESHOLD, KEPT_FREE);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_says_how_much_is_free() {
        let meminfo = "MemTotal:       24645000 kB\nMemFree:  1 kB\nMemAvailable:   22000000 kB\n";
        assert_eq!(field(meminfo, "MemAvailable:"), Some(22_000_000));
        assert_eq!(field(meminfo, "SwapFree:"), None);
        let memory = memory(Device::Cpu).expect("Linux says it");
        assert!(memory.free > 0 && memory.free <= memory.total, "{memory:?}");
        assert!(resident().expect("Linux says it") > 1 << 20);
    }

    #[test]
    fn without_a_gpu_nothing_is_known_of_its_memory() {
        if !tch::Cuda::is_available() {
            assert_eq!(memory(Device::Cuda(0)), None);
        }
    }
}
