use super::*;

const RATES: Rates = Rates {
    adam: 2e-3,
    muon: 2e-2,
};

fn pictures() -> Tensor {
    // A bright square on the left, a dark one on the right.
    let side = Tensor::ones([2, 3, 32, 16], (Kind::Float, Device::Cpu)) * 0.8;
    Tensor::cat(&[&side, &(-&side)], 3)
}

fn started() -> (AutoencoderConfig, Master, Optimizer) {
    tch::set_num_threads(1);
    tch::manual_seed(5);
    let config = config(&[4, 4, 8, 8], &[8, 8, 8, 8]).unwrap();
    let master = fresh(&config).unwrap();
    let optimizer = Optimizer::new(&master, rule);
    (config, master, optimizer)
}

fn value(master: &Master, name: &str) -> Tensor {
    let (_, value) = master.values().find(|(own, _)| *own == name).unwrap();
    value.detach().copy()
}

#[test]
fn steps_lower_the_loss_and_what_is_exported_is_read_back() {
    let _alone = crate::run::alone();
    let (config, mut master, mut optimizer) = started();
    let mut step = || {
        descend(
            &config,
            &master,
            &mut optimizer,
            &pictures(),
            Kind::Float,
            false,
            RATES,
        )
        .unwrap()
    };
    let first = step();
    let last = (0..15).map(|_| step()).last().unwrap();
    assert!(last < 0.85 * first, "from {first} to {last}");
    master.follow(0.0);
    let mut tensors = master.average(Kind::Float);
    tensors.extend(no_statistics(&config));
    let dir = tempfile::tempdir().unwrap();
    export::write(&config, &tensors, dir.path()).unwrap();
    let whole = network(&config, &tensors).unwrap();
    let read = export::read(dir.path(), Kind::Float).unwrap();
    let tokens = read.encode(&pictures());
    assert_eq!(tokens.size(), [2, 128, 2, 2]);
    let difference = (tokens - whole.encode(&pictures())).abs().max();
    assert!(difference.double_value(&[]) < 0.05, "f16 is near enough");
    let (again, _) = export::tensors(dir.path()).unwrap();
    assert_eq!(again, config);
}

#[test]
fn a_frozen_encoder_stays_as_it_is() {
    let _alone = crate::run::alone();
    let (config, master, mut optimizer) = started();
    let names = [
        "encoder.conv_in.weight",
        "quant_conv.weight",
        "decoder.conv_in.weight",
    ];
    let before = names.map(|name| value(&master, name));
    descend(
        &config,
        &master,
        &mut optimizer,
        &pictures(),
        Kind::BFloat16,
        true,
        RATES,
    )
    .unwrap();
    let same = |at: usize| value(&master, names[at]).equal(&before[at]);
    assert!(same(0) && same(1) && !same(2));
}
