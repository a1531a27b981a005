//! How the built program's threads wait for each other: asleep, unless its environment has a word on it.

#![expect(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::{
    fs,
    io::ErrorKind,
    net::TcpListener,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The environment of a worker that has come to looking for NATS, which is after the choice was made.
fn environment(own: &[(&str, &str)]) -> Vec<String> {
    let nats = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_atelier-worker"));
    command
        .args(["--engine", "double", "--roles", "plan", "--prefix", "spin"])
        .args([
            "--nats-url",
            &format!("nats://{}", nats.local_addr().unwrap()),
        ])
        .args([
            "--store-url",
            &format!("file://{}", folder.path().display()),
        ])
        .env("ATELIER_ALLOW_TEST_DOUBLE", "1")
        .env_remove("OMP_WAIT_POLICY")
        .env_remove("GOMP_SPINCOUNT")
        .envs(own.iter().copied())
        .stdout(Stdio::null());
    let mut worker = Running(command.spawn().unwrap());
    nats.set_nonblocking(true).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while let Err(error) = nats.accept() {
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert_eq!(worker.0.try_wait().unwrap(), None, "it ended");
        assert!(Instant::now() < deadline, "it never came");
        thread::sleep(Duration::from_millis(5));
    }
    // The process keeps its id when it starts itself once more.
    let path = format!("/proc/{}/environ", worker.0.id());
    let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    text.split('\0').map(str::to_owned).collect()
}

#[test]
fn threads_wait_asleep_unless_the_environment_says_otherwise() {
    let passive = "OMP_WAIT_POLICY=passive".to_owned();
    assert!(environment(&[]).contains(&passive));
    let numbers = environment(&[("GOMP_SPINCOUNT", "100")]);
    assert!(numbers.contains(&"GOMP_SPINCOUNT=100".to_owned()));
    assert!(!numbers.contains(&passive), "{numbers:?}");
    let active = environment(&[("OMP_WAIT_POLICY", "active")]);
    assert!(active.contains(&"OMP_WAIT_POLICY=active".to_owned()));
    assert!(!active.contains(&passive), "{active:?}");
}
