use tch::{Kind, Tensor};

use super::*;

#[test]
fn an_orthogonal_step_has_singular_values_of_about_one() {
    let _alone = alone();
    tch::manual_seed(3);
    for (rows, columns) in [(24, 24), (16, 64), (64, 16)] {
        let matrix = Tensor::randn([rows, columns], (Kind::Float, tch::Device::Cpu));
        let step = optimizer::orthogonal(&matrix) / (rows as f64 / columns as f64).max(1.0).sqrt();
        let small = step.size()[0].min(step.size()[1]);
        // The sum of squares of the singular values.
        let mean = step.square().sum(Kind::Float).double_value(&[]) / small as f64;
        assert!((0.5..1.3).contains(&mean), "{rows}x{columns}: {mean}");
        let along = (&step * &matrix).sum(Kind::Float).double_value(&[]);
        assert!(along > 0.0, "a step along the gradient");
    }
}

/// Fits a small matrix and a vector to targets that depend on the step.
fn train(options: &Options) -> Vec<f32> {
    let start = |shape: &[i64]| Tensor::ones(shape, (Kind::Float, tch::Device::Cpu)) * 0.1;
    let mut master = Master::new([
        ("block.weight".to_owned(), start(&[6, 4])),
        ("bias".to_owned(), start(&[6])),
    ]);
    let mut optimizer = Optimizer::new(&master, |_, shape| match shape.len() {
        2 => Rule::Muon,
        _ => Rule::AdamW,
    });
    let (mut session, state) = Session::open(options).unwrap();
    if let Some(state) = state {
        master.restore(&state).unwrap();
        optimizer.restore(&state).unwrap();
    }
    while !session.is_over() {
        tch::manual_seed(session.step_seed() as i64);
        let x = Tensor::randn([5, 4], (Kind::Float, tch::Device::Cpu));
        let weights = master.weights(Kind::Float);
        let y = x.linear(
            &weights.get("block.weight").unwrap(),
            Some(weights.get("bias").unwrap()),
        );
        let loss = (y - x.sum(Kind::Float)).square().mean(Kind::Float);
        loss.backward();
        let rates = Rates {
            adam: 0.01,
            muon: 0.02,
        };
        optimizer.step(&master, rates, 1.0);
        master.follow(0.9);
        session.stepped(loss.double_value(&[]), 5);
    }
    let mut state = master.state();
    state.extend(optimizer.state());
    session.save(state).unwrap();
    let numbers =
        |(_, tensor): (String, Tensor)| Vec::<f32>::try_from(tensor.flatten(0, -1)).unwrap();
    let average = master.average(Kind::Float).into_iter();
    let values = master
        .values()
        .map(|(name, value)| (name.clone(), value.detach()));
    average.chain(values).flat_map(numbers).collect()
}

#[test]
fn a_run_that_is_taken_up_again_goes_on_exactly() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let options = |name: &str, steps: u64| Options {
        run: dir.path().join(name),
        minutes: None,
        steps: Some(steps),
        save_every: 60.0,
        threads: 1,
        seed: 4,
    };
    let whole = train(&options("whole", 6));
    let half = train(&options("parts", 3));
    let rest = train(&options("parts", 6));
    assert_ne!(half, rest);
    assert_eq!(whole, rest);
    assert!(dir.path().join("parts/loss.png").exists());
}
