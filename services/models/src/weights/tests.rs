use std::fs;

use proptest::prelude::*;

use super::*;

fn write(dir: &Path, name: &str, tensors: &[(&str, Tensor)]) {
    Tensor::write_safetensors(tensors, dir.join(name)).unwrap();
}

#[test]
fn tensors_are_found_by_name_and_shape() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        "model.safetensors",
        &[("a.weight", Tensor::from_slice(&[1f32, 2.0, 3.0]))],
    );
    let weights = Weights::load_dir(dir.path()).unwrap();
    let a = weights.sub("a");
    assert!(a.contains("weight") && !a.contains("bias"));
    assert_eq!(
        a.get_shaped("weight", &[3]).unwrap().double_value(&[1]),
        2.0
    );
    assert!(matches!(a.get("bias"), Err(WeightsError::Missing(name)) if name == "a.bias"));
    let error = a.get_shaped("weight", &[2, 2]).unwrap_err().to_string();
    assert!(
        error.contains("a.weight") && error.contains("[3]") && error.contains("[2, 2]"),
        "{error}"
    );
    assert_eq!(
        weights
            .to_kind(Kind::BFloat16)
            .get("a.weight")
            .unwrap()
            .kind(),
        Kind::BFloat16
    );
}

#[test]
fn shards_are_read_by_their_index_and_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        "one.safetensors",
        &[("a", Tensor::from_slice(&[1f32]))],
    );
    write(
        dir.path(),
        "two.safetensors",
        &[("b", Tensor::from_slice(&[2f32]))],
    );
    let index = dir.path().join("model.safetensors.index.json");
    fs::write(
        &index,
        r#"{"weight_map":{"a":"one.safetensors","b":"two.safetensors"}}"#,
    )
    .unwrap();
    assert_eq!(Weights::load_dir(dir.path()).unwrap().names(), ["a", "b"]);
    fs::write(&index, r#"{"weight_map":{"a":"../one.safetensors"}}"#).unwrap();
    assert!(matches!(
        Weights::load_dir(dir.path()),
        Err(WeightsError::Malformed(..))
    ));
    fs::write(&index, r#"{"weight_map":{"a":"three.safetensors"}}"#).unwrap();
    assert!(matches!(
        Weights::load_dir(dir.path()),
        Err(WeightsError::Read(..))
    ));
    for (wrong, named) in [
        (r#"{"a":"one.safetensors","b":"one.safetensors"}"#, "\"b\""),
        (r#"{"b":"two.safetensors","c":"one.safetensors"}"#, "\"a\""),
    ] {
        fs::write(&index, format!(r#"{{"weight_map":{wrong}}}"#)).unwrap();
        let error = Weights::load_dir(dir.path()).err().unwrap().to_string();
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn what_no_network_reads_is_named() {
    let weights = Weights::from_map(HashMap::from(
        ["net.a", "net.b", "net.table"].map(|name| (name.to_owned(), Tensor::from(1f32))),
    ));
    let net = weights.sub("net");
    let _a = net.get("a").unwrap();
    let spared = |name: &str| name.ends_with("table");
    assert!(
        matches!(weights.refuse_extra(spared), Err(WeightsError::Extra(name)) if name == "net.b")
    );
    let _b = net.get("b").unwrap();
    weights.refuse_extra(spared).unwrap();
}

#[test]
fn tensors_are_read_to_the_kind_that_is_wanted_and_only_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    // A name of odd length: what follows a header need not be aligned.
    Tensor::write_safetensors(
        &[
            ("a", Tensor::from_slice(&[1u8, 2, 3])),
            ("b", Tensor::from_slice2(&[[1.5f32, 2.5], [3.5, 4.5]])),
            ("c", Tensor::from_slice(&[7i64])),
            ("d", Tensor::from_slice(&[0.5f32]).to_kind(Kind::BFloat16)),
        ],
        &path,
    )
    .unwrap();
    let weights = Weights::load_file(&path).unwrap().to_kind(Kind::Half);
    assert_eq!(weights.shape("b").unwrap(), [2, 2]);
    let (first, again) = (weights.get("b").unwrap(), weights.get("b").unwrap());
    assert_eq!(
        (first.kind(), first.data_ptr()),
        (Kind::Half, again.data_ptr())
    );
    assert_eq!(first.double_value(&[1, 0]), 3.5);
    assert_eq!(weights.get("a").unwrap().kind(), Kind::Uint8);
    assert_eq!(weights.get("c").unwrap().int64_value(&[0]), 7);
    assert_eq!(weights.get("d").unwrap().double_value(&[0]), 0.5);
    let wide = weights.to_kind(Kind::Double);
    assert_eq!(wide.get("b").unwrap().kind(), Kind::Double);
    assert_eq!(wide.get("a").unwrap().int64_value(&[2]), 3);
}

#[test]
fn a_folder_without_a_checkpoint_is_named() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(
        Weights::load_dir(dir.path()),
        Err(WeightsError::Empty(_))
    ));
    assert!(matches!(
        Weights::load_dir(&dir.path().join("none")),
        Err(WeightsError::Read(..))
    ));
}

proptest! {
    #[test]
    fn rubbish_and_damage_are_errors_not_crashes(cut in 0_usize..200, at in 0_usize..120, with: u8, rubbish in proptest::collection::vec(any::<u8>(), 0..200)) {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "model.safetensors", &[("a", Tensor::from_slice(&[1f32, 2.0])), ("b", Tensor::from_slice(&[3i64]))]);
        let path = dir.path().join("model.safetensors");
        let good = fs::read(&path).unwrap();
        let cut = cut.min(good.len() - 1);
        fs::write(&path, &good[..cut]).unwrap();
        prop_assert!(Weights::load_dir(dir.path()).is_err());
        let mut damaged = good.clone();
        let at = at.min(damaged.len() - 1);
        damaged[at] = with;
        for bytes in [damaged, rubbish] {
            fs::write(&path, &bytes).unwrap();
            if let Ok(weights) = Weights::load_dir(dir.path()) {
                let _ = weights.tensors();
            }
        }
    }
}
