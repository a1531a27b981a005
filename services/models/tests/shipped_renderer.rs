//! The shipped renderer with the shipped props and the text encoder it was trained with.

use std::path::{Path, PathBuf};

use atelier_models::{
    language::TextStates,
    renderer::{RenderScene, RenderThing, Renderer},
};
use tch::Device;

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
