use std::collections::HashMap;

use serde_json::json;
use tch::{Device, Kind, Tensor};

use super::*;

fn save(path: &Path, shapes: &[(&str, &[i64])]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let tensors: Vec<_> = shapes
        .iter()
        .map(|(name, shape)| (*name, Tensor::zeros(*shape, (Kind::BFloat16, Device::Cpu))))
        .collect();
    Tensor::write_safetensors(&tensors, path).unwrap();
}

#[test]
fn headers_say_what_a_folder_is() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Checkpoint::open(dir.path());
    assert!(matches!(open(), Err(CheckpointError::Unknown(_))));
    let config = json!({ "model_type": "qwen3" }).to_string();
    fs::write(dir.path().join("config.json"), config).unwrap();
    assert!(matches!(
        open(),
        Err(CheckpointError::Weights(WeightsError::Empty(_)))
    ));
    save(
        &dir.path().join("model.safetensors"),
        &[("a", &[3, 4]), ("b", &[5])],
    );
    let found = open().unwrap();
    assert_eq!(found.family.uses, [Use::Say]);
    assert_eq!((found.parameters(), found.bytes(4)), (17, 68));
    assert_eq!(found.parts[0].stored["bf16"], 17);
    assert!(found.parts[0].on_disk() > 34);

    let index = json!({ "weight_map": { "a": "model.safetensors", "c": "other.safetensors" } });
    let index_path = dir.path().join("model.safetensors.index.json");
    fs::write(&index_path, index.to_string()).unwrap();
    let error = open().unwrap_err().to_string();
    assert!(
        error.contains("other.safetensors") && error.contains("\"c\""),
        "{error}"
    );
    fs::remove_file(index_path).unwrap();
    fs::write(dir.path().join("model.safetensors"), b"not tensors").unwrap();
    assert!(open().is_err());
}

#[test]
fn pipelines_are_their_parts() {
    let dir = tempfile::tempdir().unwrap();
    let index = json!({ "_class_name": "Flux2KleinPipeline" }).to_string();
    fs::write(dir.path().join("model_index.json"), index).unwrap();
    for part in ["transformer", "vae"] {
        save(
            &dir.path().join(part).join("model.safetensors"),
            &[("a", &[2, 2])],
        );
        let config = json!({ "_class_name": part }).to_string();
        fs::write(dir.path().join(part).join("config.json"), config).unwrap();
    }
    let found = Checkpoint::open(dir.path()).unwrap();
    assert_eq!(found.family.uses, [Use::Draw]);
    let names: HashMap<_, _> = found
        .parts
        .iter()
        .map(|part| (part.name.as_str(), part.parameters))
        .collect();
    assert_eq!(names, HashMap::from([("transformer", 4), ("vae", 4)]));
}

#[test]
fn what_is_not_computed_is_still_described() {
    let dir = tempfile::tempdir().unwrap();
    let config = json!({ "model_type": "mamba" }).to_string();
    fs::write(dir.path().join("config.json"), config).unwrap();
    save(&dir.path().join("model.safetensors"), &[("a", &[2])]);
    let found = Checkpoint::open(dir.path()).unwrap();
    assert_eq!(
        (found.family.name.as_str(), found.family.uses.len()),
        ("mamba", 0)
    );
    let missing = Checkpoint::open(&dir.path().join("nowhere")).unwrap_err();
    assert!(missing.to_string().contains("no such file"), "{missing}");
}
