//! Published pipelines (small random ones of both families): what must hold whatever the weights are.

#![expect(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use atelier_models::renderer::{
    Area, Canvas, Drawing, Layers, Network, Noise, Pipeline, Preview, RenderError, RenderScene,
    RenderThing, Renderer, RendererConfig, TransformerInput, noise,
    regions::{Grid, Layout, ThingTokens, Ties},
};
use image::{GrayImage, Luma, Rgb, RgbImage, RgbaImage};
use tch::{Device, Tensor};

const FAMILIES: [&str; 2] = ["klein", "zimage"];

fn folder(family: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/parity/tiny")
        .join(family)
}

fn load(family: &str) -> Renderer {
    Renderer::load(&folder(family), Device::Cpu).unwrap()
}

fn states(renderer: &Renderer, seed: u64, tokens: i64) -> Tensor {
    noise::gaussian(seed, tokens, renderer.text_channels(), Device::Cpu).squeeze_dim(0)
}

/// A scene with `things` things in boxes; unequal for unequal seeds.
fn scene(renderer: &Renderer, seed: u64, things: usize) -> RenderScene {
    let thing = |i: usize| RenderThing {
        states: states(renderer, seed + 10 * i as u64, 2 + i as i64),
        bbox: Some([0.0, 0.0, 0.3 + 0.2 * i as f32, 0.7]),
        reference: renderer
            .network()
            .reads_references()
            .then(|| RgbaImage::from_pixel(32, 16, image::Rgba([9, seed as u8, 200, 255]))),
    };
    RenderScene {
        base: states(renderer, seed, 5 + seed as i64 % 7),
        things: (0..things).map(thing).collect(),
        negative: None,
    }
}

fn photo(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([(x * 3) as u8, (y * 5) as u8, 90])
    })
}

fn go_on(_: usize, _: u32, _: u32, _: Option<Preview<'_>>) -> bool {
    true
}

/// Bytes that differ by more than the rounding of sums explains.
fn apart(a: &RgbImage, b: &RgbImage) -> usize {
    assert_eq!(a.dimensions(), b.dimensions());
    let bytes = a.as_raw().iter().zip(b.as_raw());
    bytes.filter(|(a, b)| a.abs_diff(**b) > 1).count()
}

#[test]
fn pipelines_are_known_by_their_index() {
    let klein = load("klein");
    assert_eq!(
        (klein.pipeline(), klein.config().steps),
        (Pipeline::Klein, 4)
    );
    let zimage = load("zimage");
    assert_eq!(
        (zimage.pipeline(), zimage.config().steps),
        (Pipeline::ZImage, 8)
    );
}

#[test]
fn a_batch_of_unequal_seeds_and_scenes_is_its_members_alone() {
    for family in FAMILIES {
        let renderer = load(family);
        let scenes = [(1, 2), (2, 0), (3, 1)].map(|(seed, things)| scene(&renderer, seed, things));
        let source = photo(64, 48);
        let mask = GrayImage::from_fn(64, 48, |x, _| Luma([(x * 4) as u8]));
        for canvas in [
            Canvas::Blank(Some((64, 48))),
            Canvas::Edit {
                picture: &source,
                strength: 0.5,
            },
            Canvas::Repaint {
                picture: &source,
                area: Area::Mask(&mask),
                strength: 1.0,
            },
        ] {
            let drawings: Vec<Drawing<'_>> = (7..)
                .zip(&scenes)
                .map(|(seed, scene)| Drawing {
                    scene,
                    noise: Noise::Seed(seed),
                    canvas,
                })
                .collect();
            let together = renderer.draw(&drawings, Some(4), &mut go_on);
            let mut pictures = Vec::new();
            for (drawing, drawn) in drawings.iter().zip(together) {
                let drawn = drawn.unwrap();
                let alone = renderer.draw(&[*drawing], Some(4), &mut go_on);
                assert_eq!(apart(&drawn, alone[0].as_ref().unwrap()), 0, "{family}");
                pictures.push(drawn);
            }
            assert!(apart(&pictures[0], &pictures[1]) > 0);
        }
    }
}

/// The velocity, and before it what leaves each block that sees text and picture together, in their order.
fn pass(network: &Network, input: &TransformerInput<'_>) -> Vec<Tensor> {
    let mut left = Vec::new();
    let mut observe = |name: &'static str, _, tensor: &Tensor| {
        if ["double.image", "single", "layer"].contains(&name) {
            left.push(tensor.shallow_clone());
        }
    };
    let velocity = match network {
        Network::Klein(network) => network.forward_observed(input, &mut observe),
        Network::ZImage(network) => network.forward_observed(input, &mut observe),
    };
    left.push(velocity);
    left
}

#[test]
fn blocks_outside_of_the_chosen_ones_are_tied_as_they_are_told() {
    for family in FAMILIES {
        let renderer = load(family);
        let network = renderer.network();
        let grid = Grid {
            rows: 4,
            columns: 6,
        };
        let thing = |bbox| ThingTokens {
            text: 2,
            bbox: Some(bbox),
            reference: None,
        };
        let layout = Layout {
            base: 28,
            things: vec![thing([0.0, 0.0, 0.5, 0.5]), thing([0.5, 0.5, 1.0, 1.0])],
        };
        let positions = renderer.config().positions;
        let arranged = positions.arrange(grid, &[layout], Device::Cpu);
        let (firm, soft) = (arranged.at(8.0), arranged.at(1.0));
        let random = |seed, tokens, channels| noise::gaussian(seed, tokens, channels, Device::Cpu);
        let noisy = random(1, 24, network.token_channels());
        let states = random(2, 32, network.text_channels());
        let text = network.text(&states, &[32], &arranged.text_ids, firm.as_ref());
        let pass = |bias: Option<&Tensor>, layers: Option<Layers<'_>>| {
            let input = TransformerInput {
                noisy: &noisy,
                reference: None,
                text: &text,
                times: &Tensor::from_slice(&[0.5_f32]),
                image_ids: &arranged.image_ids,
                text_ids: &arranged.text_ids,
                bias,
                layers,
            };
            tch::no_grad(|| pass(network, &input))
        };
        let (firm, soft) = (firm.as_ref(), soft.as_ref());
        for elsewhere in [None, soft] {
            let (tied, other) = (pass(firm, None), pass(elsewhere, None));
            let half = (tied.len() - 1) / 2;
            assert!(half > 0, "{family} has one block");
            for (share, first, then) in [([0.0, 0.5], &tied, &other), ([0.5, 1.0], &other, &tied)] {
                let left = pass(firm, Some(Layers { share, elsewhere }));
                for (index, (one, first)) in left.iter().zip(first).enumerate() {
                    let same = one.equal(first);
                    assert_eq!(same, index < half, "{family}: block {index} of {share:?}");
                }
                // What the other blocks read is not what they read where all are like them.
                let last = left.len() - 1;
                assert!(!left[last].equal(&then[last]), "{family}: {share:?}");
            }
            let share = [0.0, 1.0];
            let all = pass(firm, Some(Layers { share, elsewhere }));
            assert!(all.iter().zip(&tied).all(|(one, tied)| one.equal(tied)));
        }
    }
}

/// The same pipeline with other ties in its `renderer.json`.
fn tied(family: &str, regions: Ties) -> Renderer {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder(family)).unwrap() {
        let entry = entry.unwrap();
        symlink(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    let config = RendererConfig {
        regions,
        ..RendererConfig::of(load(family).pipeline())
    };
    let file = dir.path().join(RendererConfig::FILE);
    fs::write(file, serde_json::to_vec(&config).unwrap()).unwrap();
    Renderer::load(dir.path(), Device::Cpu).unwrap()
}

#[test]
fn a_renderer_s_file_says_how_firmly_things_are_tied() {
    let ties = Ties::DEFAULT;
    let (half, rest) = ([0.0, 0.5], [0.5, 1.0]);
    for family in FAMILIES {
        let scene = scene(&load(family), 1, 2);
        let draw = |ties: Ties| {
            let size = Some((64, 48));
            let drawn = tied(family, ties).render(&scene, 5, Some(4), size, &mut |_, _, _| true);
            drawn.unwrap()
        };
        let usual = load(family)
            .render(&scene, 5, Some(4), Some((64, 48)), &mut |_, _, _| true)
            .unwrap();
        // Firm everywhere, said in other words.
        for same in [
            ties,
            Ties { soft: 2.0, ..ties },
            Ties {
                layers: half,
                soft: ties.strength,
                ..ties
            },
        ] {
            assert!(draw(same) == usual, "{family}: {same:?}");
        }
        let mut drawn = vec![usual];
        for other in [
            Ties {
                strength: 2.0,
                ..ties
            },
            Ties {
                steps: half,
                ..ties
            },
            Ties {
                layers: half,
                ..ties
            },
            Ties {
                layers: rest,
                ..ties
            },
            Ties {
                layers: half,
                soft: 2.0,
                ..ties
            },
        ] {
            let picture = draw(other);
            assert!(!drawn.contains(&picture), "{family}: {other:?}");
            drawn.push(picture);
        }
    }
}

#[test]
fn one_of_a_batch_is_canceled_and_the_others_go_on() {
    for family in FAMILIES {
        let renderer = load(family);
        let scenes = [1, 2, 3].map(|seed| scene(&renderer, seed, 1));
        let drawings: Vec<Drawing<'_>> = (0..)
            .zip(&scenes)
            .map(|(seed, scene)| Drawing {
                scene,
                noise: Noise::Seed(seed),
                canvas: Canvas::Blank(Some((32, 48))),
            })
            .collect();
        let mut told = vec![0; 3];
        let mut on_step = |index: usize, step, _, _: Option<Preview<'_>>| {
            told[index] = step;
            !matches!((index, step), (1, 2) | (2, 0))
        };
        let drawn = renderer.draw(&drawings, Some(4), &mut on_step);
        assert_eq!(told, [4, 2, 0]);
        assert!(matches!(drawn[1], Err(RenderError::Canceled)));
        assert!(matches!(drawn[2], Err(RenderError::Canceled)));
        let alone = renderer.draw(&drawings[..1], Some(4), &mut go_on);
        assert_eq!(
            apart(drawn[0].as_ref().unwrap(), alone[0].as_ref().unwrap()),
            0
        );
    }
}

#[test]
fn what_does_not_fit_a_batch_is_refused_and_does_not_hold_up_the_rest() {
    let renderer = load("klein");
    let good = scene(&renderer, 1, 1);
    let mut bad = scene(&renderer, 2, 1);
    bad.things[0].bbox = Some([0.5, 0.5, 0.5, 1.0]);
    let drawing = |scene, size| Drawing {
        scene,
        noise: Noise::Seed(1),
        canvas: Canvas::Blank(Some(size)),
    };
    let drawn = renderer.draw(
        &[
            drawing(&bad, (32, 32)),
            drawing(&good, (32, 32)),
            drawing(&good, (48, 32)),
        ],
        Some(2),
        &mut go_on,
    );
    assert!(matches!(drawn[0], Err(RenderError::Box(_))));
    assert!(drawn[1].is_ok());
    assert!(matches!(drawn[2], Err(RenderError::Unequal)));
    assert!(renderer.draw(&[], Some(2), &mut go_on).is_empty());
}

#[test]
fn a_repair_changes_no_pixel_outside_its_box() {
    for family in FAMILIES {
        let renderer = load(family);
        let source = photo(64, 48);
        let scene = scene(&renderer, 1, 1);
        let bbox = [0.32, 0.25, 0.6, 0.64];
        let mended = renderer
            .repair(&source, bbox, &scene, 4, Some(3), &mut |_, _, _| true)
            .unwrap();
        let mut changed = 0;
        for (x, y, pixel) in mended.enumerate_pixels() {
            if (20..39).contains(&x) && (12..31).contains(&y) {
                changed += u32::from(pixel != source.get_pixel(x, y));
            } else {
                assert_eq!(pixel, source.get_pixel(x, y), "{family}: {x} {y}");
            }
        }
        assert!(changed > 300, "{family}: {changed} of 361 pixels");
    }
}

#[test]
fn short_memory_decodes_in_tiles_of_the_same_picture() {
    for family in FAMILIES {
        let scene = scene(&load(family), 1, 0);
        let draw = |renderer: Renderer| {
            let size = Some((640, 528));
            let drawn = renderer.render(&scene, 5, Some(1), size, &mut |_, _, _| true);
            drawn.unwrap()
        };
        let whole = draw(load(family).with_decode_memory(u64::MAX));
        let tiled = draw(load(family).with_decode_memory(0));
        assert_eq!(tiled.dimensions(), (640, 528));
        assert!(whole != tiled, "{family}: it was not tiled");
        let bytes = whole.as_raw().iter().zip(tiled.as_raw());
        let sum: u64 = bytes.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        let mean = sum as f64 / whole.as_raw().len() as f64;
        // Norms take their statistics from a tile, here of noise.
        assert!(mean < 12.0, "{family}: {mean:.1} of 255 apart in the mean");
    }
}

#[test]
fn what_a_family_cannot_read_is_said() {
    let zimage = load("zimage");
    let mut scene = scene(&zimage, 1, 1);
    scene.things[0].reference = Some(RgbaImage::new(16, 16));
    let refused = |scene: &RenderScene| {
        zimage
            .render(scene, 1, Some(1), Some((32, 32)), &mut |_, _, _| true)
            .unwrap_err()
            .to_string()
    };
    assert!(refused(&scene).contains("reads no reference pictures"));
    scene.things.clear();
    scene.base = states(&zimage, 1, 1023);
    assert!(refused(&scene).contains("1024 text states"));
    scene.base = states(&zimage, 1, 3);
    let wrong = Tensor::zeros([4, 7], tch::kind::FLOAT_CPU);
    let drawing = Drawing {
        scene: &scene,
        noise: Noise::Tokens(&wrong),
        canvas: Canvas::Blank(Some((32, 32))),
    };
    assert!(matches!(
        zimage.draw(&[drawing], Some(1), &mut go_on)[0],
        Err(RenderError::Noise { .. })
    ));
}
