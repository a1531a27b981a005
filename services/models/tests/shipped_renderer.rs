//! The shipped renderer with the shipped props and the text encoder it was trained with.

use std::path::{Path, PathBuf};

use atelier_models::{
    language::TextStates,
    renderer::{
        Network, RenderScene, RenderThing, Renderer, TransformerInput,
        regions::{Grid, Layout, Positions},
    },
    weights::Weights,
};
use tch::{Device, Kind, Tensor};

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

#[test]
fn a_red_thing_in_a_box_is_drawn_the_same_again() {
    let text = TextStates::load(
        &at(".deps/models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),
        &[10, 20, 30],
        Device::Cpu,
    )
    .unwrap();
    let apple = image::open(at("deploy/models/atelier-mini/props/apple.webp"))
        .unwrap()
        .into_rgba8();
    let scene = |left: f32| {
        let texts = ["on a plain background by day", "a red apple"].map(str::to_owned);
        let mut states = text.states(&texts).unwrap().into_iter();
        RenderScene {
            base: states.next().unwrap(),
            things: vec![RenderThing {
                states: states.next().unwrap(),
                bbox: Some([left, 0.25, left + 0.5, 0.75]),
                reference: Some(apple.clone()),
            }],
            negative: None,
        }
    };
    let folder = at("deploy/models/atelier-mini/renderer");
    let renderer = Renderer::load(&folder, Device::Cpu).unwrap();
    let (width, height) = (renderer.config().width, renderer.config().height);
    let draw = |left, seed| {
        renderer
            .render(&scene(left), seed, None, None, &mut |_, _, _| true)
            .unwrap()
    };
    let first = draw(0.0, 7);
    assert_eq!(first.dimensions(), (width, height));
    assert!(first == draw(0.0, 7), "the same seed");
    assert!(first != draw(0.0, 8), "another seed");
    assert!(first != draw(0.5, 7), "another place");
}

/// Numbers between -1 and 1 in the order of their places, as the script beside the reference has them.
fn wave(shape: &[i64], step: f64) -> Tensor {
    let count = shape.iter().product::<i64>();
    let places = Tensor::arange(count, (Kind::Double, Device::Cpu));
    (places * step).sin().to_kind(Kind::Float).view(shape)
}

#[test]
fn diffusers_loads_it_and_computes_the_same() {
    let file = at("services/models/tests/fixtures/shipped/reference.safetensors");
    let reference = Weights::load_file(&file).unwrap();
    let folder = at("deploy/models/atelier-mini/renderer");
    let renderer = Renderer::load(&folder, Device::Cpu).unwrap();
    let same = |name: &str, found: &Tensor| {
        let expected = reference.get(name).unwrap();
        assert_eq!(found.size(), expected.size(), "{name}");
        let scale = expected.abs().max().double_value(&[]).max(1.0);
        let difference = (found.to_kind(Kind::Float) - expected).abs().max();
        assert!(
            difference.double_value(&[]) <= 2e-4 * scale,
            "{name} is off by {difference:?} at a scale of {scale}; was diffusers_of_shipped.py run after training?"
        );
    };
    let Network::Klein(network) = renderer.network() else {
        panic!("the shipped renderer is of the klein family");
    };
    let (grid, text) = (
        Grid {
            rows: 4,
            columns: 3,
        },
        5,
    );
    let layout = Layout {
        base: text,
        things: Vec::new(),
    };
    let arranged = Positions::Family.arrange(grid, &[layout], Device::Cpu);
    let config = network.config();
    tch::no_grad(|| {
        let velocity = network.forward(&TransformerInput {
            noisy: &wave(&[1, grid.tokens() as i64, config.in_channels], 0.37),
            reference: None,
            text: &wave(&[1, text as i64, config.text_channels], 0.11),
            times: &Tensor::from_slice(&[0.7_f32]),
            image_ids: &arranged.image_ids,
            text_ids: &arranged.text_ids,
            bias: arranged.bias.as_ref(),
            layers: None,
        });
        same("velocity", &velocity);
        let autoencoder = renderer.autoencoder();
        let (latents, _) = autoencoder.moments(&wave(&[1, 3, 16, 32], 0.013));
        same("latents", &latents);
        same("pixels", &autoencoder.pictures(&wave(&[1, 32, 2, 4], 0.29)));
    });
}
