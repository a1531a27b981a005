use atelier_models::renderer::klein::TransformerConfig;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::{composer::Scene, run::Options};
use batch::{FULL, Sample};

const OPTIONS: (Kind, Device) = (Kind::Float, Device::Cpu);

fn config() -> TransformerConfig {
    TransformerConfig {
        heads: 2,
        single_blocks: 1,
        text_channels: 12,
        hidden: 128,
        ..network::config()
    }
}

fn phrases() -> Phrases {
    let states = |tokens| Tensor::randn([tokens, 12], OPTIONS);
    Phrases::of(vec![
        ("in a room".into(), states(3)),
        ("a cat".into(), states(2)),
    ])
}

/// One thing with its reference.
fn sample() -> Sample {
    let scene = Scene::random_of(&[0], &mut ChaCha8Rng::seed_from_u64(3), 1);
    let side = i64::from(scene.things[0].cell.2);
    Sample {
        scene,
        base: "in a room".into(),
        phrases: vec!["a cat".into()],
        references: vec![Some(Tensor::randn([side * side, 128], OPTIONS))],
        grid: FULL,
    }
}

fn batch() -> Batch {
    Batch {
        latents: Tensor::randn([1, FULL.tokens() as i64, 128], OPTIONS),
        samples: vec![sample()],
    }
}

#[test]
fn a_batch_is_text_and_references_in_their_places() {
    let _alone = crate::run::alone();
    let sample = sample();
    let (x, y, side) = sample.scene.things[0].cell;
    let packed = Packed::of(std::slice::from_ref(&sample), &phrases()).unwrap();
    let reference = i64::from(side) * i64::from(side);
    assert_eq!(packed.text.size(), [1, 5, 12]);
    assert_eq!(packed.reference.unwrap().size(), [1, reference, 128]);
    assert_eq!(packed.arrangement.image_ids.size(), [1, 256 + reference, 4]);
    let weights = batch::weights(&[sample], INSIDE);
    let values = Vec::<f32>::try_from(weights.flatten(0, -1)).unwrap();
    let inside = values[usize::from(y) * FULL.columns + usize::from(x)];
    let outside = values.iter().copied().fold(f32::INFINITY, f32::min);
    assert!((inside / outside - INSIDE).abs() < 1e-4);
    assert!((weights.mean(Kind::Float).double_value(&[]) - 1.0).abs() < 1e-5);
}

#[test]
fn an_unknown_phrase_is_named() {
    let _alone = crate::run::alone();
    let mut sample = sample();
    sample.phrases[0] = "a dog".into();
    let error = Packed::of(&[sample], &phrases()).err().unwrap();
    assert!(error.to_string().contains("a dog"), "{error}");
}

/// Trains on one batch as the recipe does; all parameters at the end.
fn train(options: &Options, phrases: &Phrases, batch: &Batch) -> (Vec<f64>, Vec<Tensor>) {
    let (mut session, state) = Session::open(options).unwrap();
    let mut master = network::fresh(&config()).unwrap();
    let mut optimizer = Optimizer::new(&master, network::rule);
    if let Some(state) = state {
        master.restore(&state).unwrap();
        optimizer.restore(&state).unwrap();
    }
    let mut losses = Vec::new();
    while !session.is_over() {
        tch::manual_seed(session.step_seed() as i64);
        let net = Transformer::load(&config(), &master.weights(Kind::BFloat16)).unwrap();
        let loss = loss(&net, batch, &Packed::of(&batch.samples, phrases).unwrap());
        loss.backward();
        optimizer.step(&master, RATES, 1.0);
        master.follow(0.9);
        losses.push(loss.double_value(&[]));
        session.stepped(losses[losses.len() - 1], 1);
    }
    save(&mut session, &master, &optimizer).unwrap();
    let values = master.values().map(|(_, value)| value.detach().copy());
    (losses, values.collect())
}

#[test]
fn training_learns_a_scene_and_goes_on_exactly_where_it_stopped() {
    let _alone = crate::run::alone();
    let dir = tempfile::tempdir().unwrap();
    let options = |name: &str, steps: u64| Options {
        run: dir.path().join(name),
        minutes: None,
        steps: Some(steps),
        save_every: 60.0,
        threads: 1,
        seed: 9,
    };
    tch::manual_seed(2);
    let (phrases, batch) = (phrases(), batch());
    let (losses, whole) = train(&options("whole", 40), &phrases, &batch);
    train(&options("parts", 17), &phrases, &batch);
    let (_, rest) = train(&options("parts", 40), &phrases, &batch);
    assert!(whole.iter().zip(&rest).all(|(a, b)| a.equal(b)));
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let (first, last) = (mean(&losses[..5]), mean(&losses[35..]));
    assert!(last < 0.97 * first, "from {first} to {last}");
}
