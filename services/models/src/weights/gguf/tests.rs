use proptest::prelude::*;

use super::*;

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

/// A file with one matrix of four rows (two heads of two) and one quantised vector.
fn sample() -> Vec<u8> {
    let mut out = b"GGUF".to_vec();
    out.extend(3_u32.to_le_bytes());
    out.extend(2_u64.to_le_bytes());
    out.extend(3_u64.to_le_bytes());
    text(&mut out, "general.architecture");
    out.extend(8_u32.to_le_bytes());
    text(&mut out, "llama");
    text(&mut out, "llama.attention.head_count");
    out.extend(4_u32.to_le_bytes());
    out.extend(1_u32.to_le_bytes());
    text(&mut out, "list");
    for number in [9_u32, 5] {
        out.extend(number.to_le_bytes());
    }
    out.extend(2_u64.to_le_bytes());
    out.extend(7_i32.to_le_bytes());
    out.extend((-7_i32).to_le_bytes());
    text(&mut out, "blk.0.attn_q.weight");
    out.extend(2_u32.to_le_bytes());
    for number in [1_u64, 4] {
        out.extend(number.to_le_bytes());
    }
    out.extend(0_u32.to_le_bytes());
    out.extend(0_u64.to_le_bytes());
    text(&mut out, "output_norm.weight");
    out.extend(1_u32.to_le_bytes());
    out.extend(32_u64.to_le_bytes());
    out.extend(8_u32.to_le_bytes());
    out.extend(32_u64.to_le_bytes());
    out.resize(out.len().next_multiple_of(32), 0);
    for number in [0.0_f32, 1.0, 2.0, 3.0] {
        out.extend(number.to_le_bytes());
    }
    out.resize(out.len() + 16, 0);
    out.extend(half::f16::from_f32(0.5).to_le_bytes());
    out.extend(0_u8..32);
    out
}

fn open(bytes: &[u8]) -> Result<Gguf, WeightsError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.gguf");
    std::fs::write(&path, bytes).unwrap();
    Gguf::open(&path)
}

#[test]
fn metadata_and_tensors_are_read() {
    let file = open(&sample()).unwrap();
    assert_eq!(file.text("general.architecture").unwrap(), "llama");
    assert_eq!(
        file.array("list").unwrap(),
        [Value::Signed(7), Value::Signed(-7)]
    );
    assert!(file.unsigned("list").is_err());
    let weights = file.weights(Kind::Float).unwrap();
    assert_eq!(
        weights.names(),
        [
            "model.layers.0.self_attn.q_proj.weight",
            "model.norm.weight"
        ]
    );
    // Pairs (0, 1), (2, 3) become halves (0, 2), (1, 3).
    let q = weights
        .get_shaped("model.layers.0.self_attn.q_proj.weight", &[4, 1])
        .unwrap();
    assert_eq!(
        Vec::<f32>::try_from(q.view([-1])).unwrap(),
        [0.0, 2.0, 1.0, 3.0]
    );
    let norm = weights.get_shaped("model.norm.weight", &[32]).unwrap();
    assert_eq!(norm.double_value(&[31]), 15.5);
}

#[test]
fn every_format_gives_the_numbers_of_the_gguf_package() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity/ref/quants.safetensors");
    let fixture = Weights::load_file(&path).unwrap();
    let formats = [
        ("F16", 1),
        ("Q4_0", 2),
        ("Q4_1", 3),
        ("Q5_0", 6),
        ("Q5_1", 7),
        ("Q8_0", 8),
        ("Q4_K", 12),
        ("Q5_K", 13),
        ("Q6_K", 14),
        ("BF16", 30),
    ];
    for (name, number) in formats {
        let bytes = Vec::<u8>::try_from(fixture.get(&format!("{name}.bytes")).unwrap()).unwrap();
        let wanted = fixture.get(&format!("{name}.numbers")).unwrap();
        let found = Tensor::from_slice(&quant::Format::of(number).unwrap().decode(&bytes));
        let worst =
            (found - &wanted).abs().max().double_value(&[]) / wanted.abs().max().double_value(&[]);
        assert!(worst < 1e-6, "{name}: {worst}");
    }
}

#[test]
fn a_format_that_is_not_read_and_a_tensor_behind_the_end_are_named() {
    let mut bytes = sample();
    let at = bytes
        .windows(18)
        .position(|w| w == b"output_norm.weight")
        .unwrap()
        + 18
        + 4
        + 8;
    bytes[at] = 99;
    let error = open(&bytes).err().unwrap().to_string();
    assert!(
        error.contains("output_norm.weight") && error.contains("99"),
        "{error}"
    );
    bytes[at] = 8;
    bytes[at + 5] = 1;
    let error = open(&bytes).err().unwrap().to_string();
    assert!(
        error.contains("output_norm.weight") && error.contains("end of the file"),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_truncation_is_an_error(cut in 0..sample().len()) {
        prop_assert!(parse::header(&sample()[..cut]).is_err());
    }

    #[test]
    fn damage_never_panics(at in 0..sample().len(), with: [u8; 8], length in 1_usize..9) {
        let mut bytes = sample();
        for (byte, with) in bytes[at..].iter_mut().zip(&with[..length]) {
            *byte = *with;
        }
        // What passes is inside the file and no more than it.
        if let Ok(header) = parse::header(&bytes) {
            let size: usize = header.tensors.values().map(|entry| entry.end - entry.begin).sum();
            prop_assert!(size <= bytes.len());
        }
        if let Ok(weights) = open(&bytes).and_then(|file| file.weights(Kind::Float)) {
            let _ = weights.tensors();
        }
    }

    #[test]
    fn rubbish_never_panics(rubbish in proptest::collection::vec(any::<u8>(), 0..300), decoded in proptest::collection::vec(any::<u8>(), 210..500)) {
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        bytes.extend(&rubbish);
        let _ = parse::header(&rubbish);
        let _ = parse::header(&bytes);
        for format in (0..40).filter_map(quant::Format::of) {
            let (numbers, size) = format.block();
            prop_assert_eq!(format.decode(&decoded).len(), decoded.len() / size * numbers);
        }
    }
}
