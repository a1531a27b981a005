//! What is behind the things: sky, horizon, ground and their light, at any size.

use atelier_models::props::vocabulary::{Background, TimeOfDay};
use image::{Rgb, RgbImage};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

type Tone = [f32; 3];

/// Light on ground and walls, a factor a channel.
const fn light(time: TimeOfDay) -> Tone {
    match time {
        TimeOfDay::Day => [1.0, 1.0, 1.0],
        TimeOfDay::Dusk => [1.0, 0.78, 0.66],
        TimeOfDay::Night => [0.42, 0.46, 0.68],
    }
}

/// Light on things, a factor a channel: at night brighter than on the ground, or nothing could be made out.
pub const fn light_on_things(time: TimeOfDay) -> Tone {
    match time {
        TimeOfDay::Day => [1.0, 1.0, 1.0],
        TimeOfDay::Dusk => [1.0, 0.8, 0.69],
        TimeOfDay::Night => [0.57, 0.62, 0.92],
    }
}

const fn sky(time: TimeOfDay) -> (Tone, Tone) {
    match time {
        TimeOfDay::Day => ([96.0, 170.0, 240.0], [200.0, 228.0, 250.0]),
        TimeOfDay::Dusk => ([90.0, 60.0, 130.0], [250.0, 150.0, 90.0]),
        TimeOfDay::Night => ([8.0, 10.0, 35.0], [40.0, 45.0, 90.0]),
    }
}

const fn ground(background: Background) -> Tone {
    match background {
        Background::Grass => [96.0, 172.0, 72.0],
        Background::Moon => [150.0, 150.0, 155.0],
        Background::Beach => [236.0, 212.0, 152.0],
        Background::Snow => [238.0, 243.0, 250.0],
        Background::Sea => [40.0, 112.0, 182.0],
        Background::City => [95.0, 95.0, 105.0],
        Background::Room => [168.0, 116.0, 76.0],
        Background::Plain => [222.0, 222.0, 222.0],
        Background::Desert => [222.0, 164.0, 92.0],
        Background::Forest => [70.0, 118.0, 58.0],
        Background::Space => [8.0, 8.0, 20.0],
    }
}

fn times(a: Tone, b: Tone) -> Tone {
    [a[0] * b[0], a[1] * b[1], a[2] * b[2]]
}

fn mix(a: Tone, b: Tone, t: f32) -> Tone {
    [0, 1, 2].map(|i| a[i] + (b[i] - a[i]) * t)
}

fn rgb(tone: Tone) -> Rgb<u8> {
    Rgb(tone.map(|channel| channel.clamp(0.0, 255.0) as u8))
}

/// A picture under work. Lengths are in 1/128 of the side, so that a seed paints the same scene at every size.
struct Canvas {
    image: RgbImage,
    unit: f32,
}

impl Canvas {
    fn rect(&mut self, x0: f32, y0: f32, x1: f32, y1: f32, tone: Tone) {
        let side = self.image.width() as f32;
        let edge = |length: f32| (length * self.unit).round().clamp(0.0, side) as u32;
        let color = rgb(tone);
        for y in edge(y0)..edge(y1) {
            for x in edge(x0)..edge(x1) {
                self.image.put_pixel(x, y, color);
            }
        }
    }

    fn gradient(&mut self, y0: f32, y1: f32, from: Tone, to: Tone) {
        let side = self.image.width();
        let (top, bottom) = (
            (y0 * self.unit).round() as u32,
            ((y1 * self.unit).round() as u32).min(side),
        );
        for y in top..bottom {
            let color = rgb(mix(
                from,
                to,
                (y - top) as f32 / (bottom - top).max(1) as f32,
            ));
            for x in 0..side {
                self.image.put_pixel(x, y, color);
            }
        }
    }

    /// Fills each column from `height(x)` (lengths in 1/128) down to `bottom`.
    fn columns(&mut self, bottom: f32, tone: Tone, height: impl Fn(f32) -> f32) {
        let side = self.image.width();
        let last = ((bottom * self.unit).round() as u32).min(side);
        let color = rgb(tone);
        for x in 0..side {
            let first = (height(x as f32 / self.unit) * self.unit).max(0.0) as u32;
            for y in first..last {
                self.image.put_pixel(x, y, color);
            }
        }
    }

    fn stars(&mut self, number: u32, bottom: f32, rng: &mut ChaCha8Rng) {
        for _ in 0..number {
            let (x, y, bright) = (
                rng.random_range(0.0..127.0),
                rng.random_range(0.0..bottom),
                rng.random_range(130.0..235.0),
            );
            self.rect(x, y, x + 1.0, y + 1.0, [bright; 3]);
        }
    }
}

/// Paints a square of `side` pixels.
pub fn paint(background: Background, time: TimeOfDay, side: u32, rng: &mut ChaCha8Rng) -> RgbImage {
    let lit = light(time);
    let mut canvas = Canvas {
        image: RgbImage::new(side, side),
        unit: side as f32 / 128.0,
    };
    let horizon = rng.random_range(66.0_f32..92.0).round();
    let earth = times(ground(background), lit);
    let (top, low) = match background {
        Background::Moon | Background::Space => (
            [7.0, 7.0, 16.0],
            mix(
                [7.0, 7.0, 16.0],
                sky(time).0,
                if background == Background::Space {
                    0.35
                } else {
                    0.0
                },
            ),
        ),
        Background::Room => (
            times([232.0, 222.0, 206.0], lit),
            times([216.0, 204.0, 188.0], lit),
        ),
        Background::Plain => (earth, earth),
        _ => sky(time),
    };
    let horizon = match background {
        Background::Plain | Background::Space => 128.0,
        _ => horizon,
    };
    canvas.gradient(0.0, horizon, top, low);
    let outdoors = !matches!(background, Background::Room | Background::Plain);
    if matches!(background, Background::Moon | Background::Space)
        || (outdoors && time == TimeOfDay::Night)
    {
        canvas.stars(
            if background == Background::Space {
                70
            } else {
                36
            },
            horizon,
            rng,
        );
    }
    canvas.gradient(horizon, 128.0, earth, times(earth, [0.78; 3]));
    detail(&mut canvas, background, time, horizon, rng);
    canvas.image
}

/// What tells one ground from another.
fn detail(
    canvas: &mut Canvas,
    background: Background,
    time: TimeOfDay,
    horizon: f32,
    rng: &mut ChaCha8Rng,
) {
    let lit = light(time);
    let earth = times(ground(background), lit);
    match background {
        Background::Grass => {
            for _ in 0..26 {
                let (x, y) = (
                    rng.random_range(0.0..126.0),
                    rng.random_range(horizon + 2.0..126.0),
                );
                canvas.rect(
                    x,
                    y,
                    x + 1.0,
                    y + rng.random_range(2.0..4.0),
                    times(earth, [0.72; 3]),
                );
            }
        }
        Background::Moon => {
            for _ in 0..5 {
                let (cx, cy, r) = (
                    rng.random_range(0.0..128.0_f32),
                    rng.random_range(horizon + 3.0..126.0_f32),
                    rng.random_range(4.0..10.0_f32),
                );
                crater(canvas, (cx, cy, r), horizon, times(earth, [0.72; 3]));
            }
        }
        Background::Beach => {
            let water = times(ground(Background::Sea), lit);
            canvas.rect(0.0, horizon, 128.0, horizon + 10.0, water);
            canvas.rect(
                0.0,
                horizon + 10.0,
                128.0,
                horizon + 12.0,
                mix(water, [255.0; 3], 0.6),
            );
        }
        Background::Snow => {
            let (phase, swing) = (
                rng.random_range(0.0..6.3_f32),
                rng.random_range(4.0..9.0_f32),
            );
            canvas.columns(horizon + 6.0, times(earth, [0.9; 3]), |x| {
                horizon - swing * (0.5 + 0.5 * (x * 0.045 + phase).sin())
            });
        }
        Background::Sea => {
            for _ in 0..12 {
                let (x, y) = (
                    rng.random_range(0.0..116.0),
                    rng.random_range(horizon + 2.0..126.0),
                );
                canvas.rect(
                    x,
                    y,
                    x + rng.random_range(6.0..18.0),
                    y + 1.0,
                    times(earth, [1.35; 3]),
                );
            }
        }
        Background::City => {
            let mut x = 0.0;
            while x < 128.0 {
                let (width, height) = (
                    rng.random_range(10..22) as f32,
                    rng.random_range(16..50) as f32,
                );
                let tone = times(
                    [128.0, 133.0, 150.0],
                    times(lit, [rng.random_range(0.6..1.0); 3]),
                );
                canvas.rect(x, horizon - height, x + width, horizon, tone);
                let mut y = horizon - height + 3.0;
                while y < horizon - 4.0 {
                    let mut left = x + 2.0;
                    while left < x + width - 3.0 {
                        let shines = time != TimeOfDay::Day && rng.random_bool(0.6);
                        let pane = if shines {
                            [250.0, 220.0, 120.0]
                        } else {
                            times([185.0, 205.0, 225.0], lit)
                        };
                        canvas.rect(left, y, left + 2.0, y + 3.0, pane);
                        left += 5.0;
                    }
                    y += 6.0;
                }
                x += width + rng.random_range(0..4) as f32;
            }
        }
        Background::Room => {
            canvas.rect(
                0.0,
                horizon,
                128.0,
                horizon + 3.0,
                times([245.0, 240.0, 232.0], lit),
            );
            let mut y = horizon + 9.0;
            while y < 128.0 {
                canvas.rect(0.0, y, 128.0, y + 1.0, times(earth, [0.72; 3]));
                y += 9.0;
            }
        }
        Background::Plain | Background::Space => {}
        Background::Desert => {
            for layer in 0..2 {
                let (phase, swing) = (
                    rng.random_range(0.0..6.3_f32),
                    rng.random_range(5.0..11.0_f32),
                );
                let base = horizon + 16.0 * layer as f32;
                let tone = times(earth, [0.94 - 0.1 * layer as f32; 3]);
                canvas.columns(128.0, tone, |x| {
                    base - swing * (0.5 + 0.5 * (x * 0.05 + phase).sin())
                });
            }
        }
        Background::Forest => {
            let mut x = -4.0;
            while x < 128.0 {
                let (width, height) = (
                    rng.random_range(12.0..20.0_f32),
                    rng.random_range(26.0..46.0_f32),
                );
                let tone = times(
                    [34.0, 92.0, 52.0],
                    times(lit, [rng.random_range(0.7..1.1); 3]),
                );
                let (middle, half) = (x + width / 2.0, width / 2.0);
                let mut y = 0.0;
                while y < height {
                    let reach = half * y / height;
                    canvas.rect(
                        middle - reach,
                        horizon - height + y,
                        middle + reach,
                        horizon - height + y + 1.0,
                        tone,
                    );
                    y += 1.0;
                }
                x += width * 0.7;
            }
        }
    }
}

fn crater(canvas: &mut Canvas, (cx, cy, r): (f32, f32, f32), horizon: f32, tone: Tone) {
    let flat = r * 0.45;
    let mut y = (cy - flat).max(horizon);
    while y < cy + flat {
        let reach = r * (1.0 - ((y - cy) / flat).powi(2)).max(0.0).sqrt();
        canvas.rect(cx - reach, y, cx + reach, y + 1.0, tone);
        y += 1.0;
    }
}
