//! What all targets share: how one is run, and where samples are.

use std::{path::PathBuf, time::Duration};

/// How long a target runs unless `BOLERO_RANDOM_TEST_TIME_MS` says otherwise.
pub const MOMENT: Duration = Duration::from_millis(100);

/// One fuzz target: `samples` must be read without an error, and whatever comes of them must not panic in `read`.
macro_rules! target {
    ($name:ident, $samples:expr, $read:expr) => {
        #[test]
        fn $name() {
            let samples: Vec<Vec<u8>> = $samples;
            let read = $read;
            for sample in &samples {
                assert!(read(sample).is_some(), "a good sample is refused");
            }
            bolero::check!()
                .with_type::<crate::input::Input>()
                .with_test_time(crate::target::MOMENT)
                .for_each(|input| {
                    // It may be refused.
                    let _ = read(&input.bytes(&samples));
                });
        }
    };
}
pub(crate) use target;

/// A path in the checkout.
pub fn checkout(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

/// The files in a folder of the checkout whose names begin with `prefix`.
pub fn files(folder: &str, prefix: &str) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(checkout(folder)).expect("the checkout is whole");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("the checkout is whole").path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(prefix)
        })
        .collect();
    paths.sort();
    let read = |path: &PathBuf| std::fs::read(path).expect("the checkout is whole");
    paths.iter().map(read).collect()
}
