use atelier_proto::MediaType;
use proptest::prelude::*;

use super::*;

fn object(number: u32, length: usize) -> (String, Vec<u8>) {
    let mut bytes = vec![0xA5; length];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    let key = object_key::artifact(digest(&bytes), MediaType::Png);
    (key, bytes)
}

fn append(journal: &mut Journal, objects: &[(String, Vec<u8>)]) {
    let objects = objects
        .iter()
        .map(|(key, bytes)| (key.as_str(), bytes.as_slice()));
    journal.append(objects).unwrap();
}

/// As if the process was killed: nothing is removed, the lock is gone.
fn kill(mut journal: Journal) {
    if let Some(cleaning) = journal.cleaning.take() {
        cleaning.join().unwrap().unwrap();
    }
    let left = journal.path.clone();
    let beside = left.with_extension("kept");
    fs::copy(&left, &beside).unwrap();
    drop(journal);
    fs::rename(beside, left).unwrap();
}

fn found(root: &Path, (key, bytes): &(String, Vec<u8>)) -> bool {
    fs::read(root.join(key)).is_ok_and(|found| found == *bytes)
}

#[test]
fn what_lost_its_file_or_its_bytes_is_put_back() {
    let root = tempfile::tempdir().unwrap();
    let objects: Vec<_> = (0..5).map(|number| object(number, 2_000)).collect();
    let mut journal = Journal::create(root.path()).unwrap();
    append(&mut journal, &objects[..1]);
    append(&mut journal, &objects[1..]);
    kill(journal);
    // Never written down, written down as zeros, written down.
    let zeros = root.path().join(&objects[1].0);
    fs::create_dir_all(zeros.parent().unwrap()).unwrap();
    fs::write(&zeros, [0; 2_000]).unwrap();
    writer::place(&root.path().join(&objects[2].0), &objects[2].1).unwrap();
    recover(root.path()).unwrap();
    assert!(objects.iter().all(|object| found(root.path(), object)));
    assert_eq!(logs(&root.path().join(FOLDER)).unwrap().len(), 0);
    recover(root.path()).unwrap();
}

#[test]
fn a_journal_in_use_is_left_alone_and_one_that_ends_well_is_removed() {
    let root = tempfile::tempdir().unwrap();
    recover(root.path()).unwrap();
    let mut journal = Journal::create(root.path()).unwrap();
    append(&mut journal, &[object(1, 100)]);
    recover(root.path()).unwrap();
    assert_eq!(logs(&root.path().join(FOLDER)).unwrap().len(), 1);
    assert!(!found(root.path(), &object(1, 100)));
    drop(journal);
    assert_eq!(logs(&root.path().join(FOLDER)).unwrap().len(), 0);
}

#[test]
fn a_full_half_is_written_down_before_it_is_overwritten() {
    let root = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(root.path()).unwrap();
    let length = 60_000;
    // Three times what both halves hold.
    let many = 6 * HALF as u32 / length as u32;
    for number in 0..many {
        let object = object(number, length);
        writer::place(&root.path().join(&object.0), &object.1).unwrap();
        append(&mut journal, &[object]);
    }
    assert!(journal.generation > 5);
    kill(journal);
    let newest = object(many - 1, length);
    fs::remove_file(root.path().join(&newest.0)).unwrap();
    recover(root.path()).unwrap();
    assert!(found(root.path(), &newest));
}

#[test]
fn what_follows_a_torn_record_or_is_of_an_older_generation_is_not_believed() {
    let mut half = Vec::new();
    let objects: Vec<_> = (0..3).map(|number| object(number, 500)).collect();
    for (key, bytes) in &objects {
        record(&mut half, key, bytes).unwrap();
    }
    let keys =
        |half: &[u8]| -> Vec<String> { records(half).map(|(key, _)| key.to_owned()).collect() };
    assert_eq!(keys(&half).len(), 3);
    let mut torn = half.clone();
    let second = half.len() / 3 + HEADER + 80;
    torn[second + 200] ^= 1;
    assert_eq!(keys(&torn), [objects[0].0.clone()]);
    let mut older = half.clone();
    older[2 * half.len() / 3 + MAGIC.len()] = 9;
    assert_eq!(keys(&older).len(), 2);
}

#[test]
fn a_record_of_another_name_is_not_followed_out_of_the_store() {
    for key in [
        "../../etc/passwd",
        "artifacts/ab/../../x.png",
        "",
        "probes/x",
    ] {
        let mut half = Vec::new();
        record(&mut half, key, b"anything").unwrap();
        assert_eq!(records(&half).count(), 0, "{key}");
    }
}

proptest! {
    #[test]
    fn rubbish_is_read_without_harm(mut half: Vec<u8>, magic: bool) {
        if magic && half.len() > MAGIC.len() {
            half[..MAGIC.len()].copy_from_slice(&MAGIC);
        }
        prop_assert_eq!(records(&half).count(), 0);
    }
}
