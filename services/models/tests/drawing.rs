//! Drawing, editing and repairing with a small random checkpoint: what must hold whatever the weights are.

#![expect(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::path::Path;

use atelier_models::{
    renderer::{
        LoadError, Preview, RenderError, RenderScene, RenderThing, Renderer, RendererConfig, noise,
        regions::Positions,
    },
    weights::WeightsError,
};
use image::{Rgb, RgbImage, Rgba, RgbaImage};
use tch::{Device, Tensor};

const TEXT: i64 = 72;

fn fixture() -> &'static Path {
    Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/parity/tiny/klein"
    ))
}

fn load(dir: &Path) -> Renderer {
    Renderer::load(dir, Device::Cpu).unwrap()
}

/// A copy of what the fixture draws with, and a file of its own.
fn with_file(name: &str, content: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for part in ["transformer", "vae", "scheduler"] {
        std::fs::create_dir(dir.path().join(part)).unwrap();
        for entry in std::fs::read_dir(fixture().join(part)).unwrap() {
            let from = entry.unwrap().path();
            std::fs::copy(&from, dir.path().join(part).join(from.file_name().unwrap())).unwrap();
        }
    }
    std::fs::write(dir.path().join(name), content).unwrap();
    dir
}

fn placed() -> tempfile::TempDir {
    let config = RendererConfig {
        positions: Positions::Placed,
        steps: 3,
        width: 64,
        height: 48,
        guidance: 1.0,
        regions: Default::default(),
    };
    with_file(RendererConfig::FILE, &serde_json::to_vec(&config).unwrap())
}

fn states(seed: u64, tokens: i64) -> Tensor {
    noise::gaussian(seed, tokens, TEXT, Device::Cpu).squeeze_dim(0)
}

fn scene() -> RenderScene {
    let ball = RgbaImage::from_fn(20, 30, |x, y| Rgba([200, 40, (x * y) as u8, 255]));
    RenderScene {
        base: states(1, 3),
        things: vec![
            RenderThing {
                states: states(2, 2),
                bbox: Some([0.0, 0.0, 0.5, 0.67]),
                reference: Some(ball.clone()),
            },
            RenderThing {
                states: states(3, 1),
                bbox: None,
                reference: Some(ball),
            },
            RenderThing {
                states: states(4, 2),
                bbox: Some([0.5, 0.0, 1.0, 1.0]),
                reference: None,
            },
        ],
        negative: None,
    }
}

fn go_on(_: u32, _: u32, _: Option<Preview<'_>>) -> bool {
    true
}

fn photo(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([(x * 3) as u8, (y * 5) as u8, 90])
    })
}

#[test]
fn the_same_seed_draws_the_same_picture() {
    for dir in [None, Some(placed())] {
        let dir = dir.as_ref().map_or(fixture(), |dir| dir.path());
        let renderer = load(dir);
        let draw = |seed| {
            renderer
                .render(&scene(), seed, Some(3), Some((64, 48)), &mut go_on)
                .unwrap()
        };
        let first = draw(5);
        assert_eq!(first.dimensions(), (64, 48));
        assert!(first == draw(5) && first != draw(6));
        // ... also after loading again.
        assert!(
            first
                == load(dir)
                    .render(&scene(), 5, Some(3), Some((64, 48)), &mut go_on)
                    .unwrap()
        );
    }
}

#[test]
fn boxes_and_references_change_the_picture() {
    let dir = placed();
    let renderer = load(dir.path());
    let draw = |change: &dyn Fn(&mut RenderScene)| {
        let mut scene = scene();
        change(&mut scene);
        renderer.render(&scene, 5, None, None, &mut go_on).unwrap()
    };
    let plain = draw(&|_| {});
    assert_eq!(plain.dimensions(), (64, 48));
    assert!(plain != draw(&|scene| scene.things[0].bbox = Some([0.0, 0.34, 0.5, 1.0])));
    assert!(plain != draw(&|scene| scene.things[0].reference = None));
    assert!(plain != draw(&|scene| scene.things[2].states = states(9, 2)));
}

#[test]
fn steps_are_told_with_small_pictures_and_can_be_stopped() {
    let renderer = load(fixture());
    let mut told = Vec::new();
    let mut on_step = |step, total, preview: Option<Preview<'_>>| {
        told.push((step, total, preview.map(|small| small().dimensions())));
        true
    };
    renderer
        .render(&scene(), 1, Some(4), Some((288, 32)), &mut on_step)
        .unwrap();
    // 18 x 2 tokens are halved: no preview is longer than 16 tokens.
    let small = Some((144, 16));
    assert_eq!(
        told,
        [
            (0, 4, None),
            (1, 4, small),
            (2, 4, small),
            (3, 4, small),
            (4, 4, None)
        ]
    );

    let mut seen = 0;
    let mut stop = |step, _, _: Option<Preview<'_>>| {
        seen = step;
        step < 2
    };
    let stopped = renderer.render(&scene(), 1, Some(9), Some((32, 32)), &mut stop);
    assert!(matches!(stopped, Err(RenderError::Canceled)));
    assert_eq!(seen, 2);
}

#[test]
fn an_edit_starts_from_its_picture_as_far_as_the_strength_says() {
    let renderer = load(fixture());
    let picture = photo(48, 32);
    let mut totals = Vec::new();
    let mut edit = |strength| {
        let mut on_step = |step, total, _: Option<Preview<'_>>| {
            if step == 0 {
                totals.push(total);
            }
            true
        };
        renderer
            .edit(&picture, &scene(), strength, 3, Some(4), &mut on_step)
            .unwrap()
    };
    let (weak, strong) = (edit(0.25), edit(1.0));
    assert_eq!(weak.dimensions(), (48, 32));
    assert!(weak != strong);
    assert_eq!(totals, [1, 4]);
    for wrong in [0.0, -1.0, 1.5, f32::NAN] {
        let refused = renderer.edit(&picture, &scene(), wrong, 3, None, &mut go_on);
        assert!(matches!(refused, Err(RenderError::Strength(_))), "{wrong}");
    }
}

#[test]
fn a_repair_leaves_every_pixel_outside_its_box() {
    for dir in [None, Some(placed())] {
        let renderer = load(dir.as_ref().map_or(fixture(), |dir| dir.path()));
        let picture = photo(64, 48);
        // 20.48..38.4 x 12..30.72 pixels: not on the token grid.
        let mended = renderer
            .repair(
                &picture,
                [0.32, 0.25, 0.6, 0.64],
                &scene(),
                4,
                Some(3),
                &mut go_on,
            )
            .unwrap();
        let mut changed = 0;
        for (x, y, pixel) in mended.enumerate_pixels() {
            if (20..39).contains(&x) && (12..31).contains(&y) {
                changed += u32::from(pixel != picture.get_pixel(x, y));
            } else {
                assert_eq!(pixel, picture.get_pixel(x, y), "{x} {y}");
            }
        }
        assert!(changed > 300, "{changed} of 361 pixels");
    }
}

#[test]
fn what_cannot_be_drawn_is_refused_with_its_reason() {
    let renderer = load(fixture());
    let refused = |change: &dyn Fn(&mut RenderScene), steps, size| {
        let mut scene = scene();
        change(&mut scene);
        renderer
            .render(&scene, 1, steps, Some(size), &mut go_on)
            .unwrap_err()
            .to_string()
    };
    let nothing = |_: &mut RenderScene| {};
    for size in [(0, 64), (64, 65), (2064, 64)] {
        assert!(
            refused(&nothing, None, size).contains("multiples of 16"),
            "{size:?}"
        );
    }
    assert!(refused(&nothing, Some(0), (32, 32)).contains("0 steps"));
    assert!(refused(&|scene| scene.base = states(1, 0), None, (32, 32)).contains("at least one"));
    assert!(
        refused(
            &|scene| scene.base = Tensor::zeros([2, 73], tch::kind::FLOAT_CPU),
            None,
            (32, 32)
        )
        .contains("73")
    );
    for wrong in [
        [0.5, 0.0, 0.5, 1.0],
        [0.0, 0.0, 1.1, 1.0],
        [f32::NAN, 0.0, 1.0, 1.0],
    ] {
        let error = refused(&|scene| scene.things[0].bbox = Some(wrong), None, (32, 32));
        assert!(error.contains("not a rectangle"), "{error}");
    }
    let many = |scene: &mut RenderScene| {
        scene.things = (0..65)
            .map(|_| RenderThing {
                states: states(1, 1),
                bbox: None,
                reference: None,
            })
            .collect();
    };
    assert!(refused(&many, None, (32, 32)).contains("at most 64"));
}

#[test]
fn folders_that_are_no_renderer_are_refused() {
    let refused = |name: &str, content: &[u8]| {
        Renderer::load(with_file(name, content).path(), Device::Cpu)
            .err()
            .expect("it must not load")
    };
    assert!(matches!(
        refused("renderer.json", b"{\"positions\":\"placed\"}"),
        LoadError::Config(..)
    ));
    assert!(matches!(
        refused(
            "renderer.json",
            b"{\"positions\":\"family\",\"steps\":4,\"width\":100,\"height\":64}"
        ),
        LoadError::Config(..)
    ));
    assert!(matches!(
        refused("transformer/config.json", b"{}"),
        LoadError::Transformer(_)
    ));
    assert!(matches!(
        refused("vae/config.json", b"[]"),
        LoadError::Config(..)
    ));
    assert!(matches!(
        refused("scheduler/scheduler_config.json", b"{\"shift\":-1}"),
        LoadError::Schedule(_)
    ));
    assert!(matches!(
        refused("text_stats.safetensors", b"no"),
        LoadError::Weights(_)
    ));
    let config = std::fs::read_to_string(fixture().join("transformer/config.json")).unwrap();
    let smaller = config.replace("\"num_layers\": 2", "\"num_layers\": 1");
    assert!(matches!(
        refused("transformer/config.json", smaller.as_bytes()),
        LoadError::Weights(WeightsError::Extra(_))
    ));
    let larger = config.replace("\"num_layers\": 2", "\"num_layers\": 3");
    assert!(matches!(
        refused("transformer/config.json", larger.as_bytes()),
        LoadError::Weights(_)
    ));
    assert!(matches!(
        Renderer::load(Path::new("/nowhere"), Device::Cpu),
        Err(LoadError::Read(..))
    ));
}
