//! The plot of a run's losses: every step pale, a moving mean dark, both axes with numbers.

use std::path::Path;

use anyhow::Context;
use plotters::prelude::*;

const SIZE: (u32, u32) = (900, 420);
const MARGIN: (i32, i32) = (56, 30);

/// Draws `losses`, one a step from step 1, to a PNG. The vertical axis is logarithmic.
pub fn losses(losses: &[f64], path: &Path) -> anyhow::Result<()> {
    let points: Vec<(f64, f64)> = losses
        .iter()
        .enumerate()
        .filter(|(_, loss)| loss.is_finite() && **loss > 0.0)
        .map(|(step, loss)| ((step + 1) as f64, loss.ln()))
        .collect();
    if points.len() < 2 {
        return Ok(());
    }
    let window = (points.len() / 60).max(1);
    let means: Vec<(f64, f64)> = points
        .windows(window)
        .step_by(window.div_ceil(4))
        .map(|part| {
            let mean = part.iter().map(|point| point.1).sum::<f64>() / window as f64;
            (part[window - 1].0, mean)
        })
        .collect();
    draw(&points, &means, path).with_context(|| format!("cannot draw {}", path.display()))
}

fn draw(points: &[(f64, f64)], means: &[(f64, f64)], path: &Path) -> anyhow::Result<()> {
    let low = points.iter().map(|p| p.1).fold(f64::INFINITY, f64::min);
    let high = points.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max) + 1e-6;
    let last = points.last().map_or(1.0, |point| point.0);
    let (left, bottom) = (MARGIN.0, SIZE.1 as i32 - MARGIN.1);
    let (width, height) = (SIZE.0 as i32 - left - 16, bottom - 12);
    let place = |&(x, y): &(f64, f64)| {
        (
            left + (x / last * f64::from(width)) as i32,
            bottom - ((y - low) / (high - low) * f64::from(height)) as i32,
        )
    };
    let root = BitMapBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    for fifth in 0..=5 {
        let part = f64::from(fifth) / 5.0;
        let value = low + (high - low) * part;
        let (_, y) = place(&(0.0, value));
        root.draw(&PathElement::new(
            [(left, y), (left + width, y)],
            BLACK.mix(0.12),
        ))?;
        number(&root, &format!("{:.4}", value.exp()), (4, y - 5))?;
        let (x, _) = place(&(last * part, low));
        number(&root, &format!("{:.0}", last * part), (x - 20, bottom + 10))?;
    }
    root.draw(&PathElement::new(
        points.iter().map(place).collect::<Vec<_>>(),
        BLUE.mix(0.25),
    ))?;
    root.draw(&PathElement::new(
        means.iter().map(place).collect::<Vec<_>>(),
        BLUE.stroke_width(2),
    ))?;
    root.present()?;
    Ok(())
}

/// Writes digits and points, 6 x 10 pixels each, as squares of two: no font is needed for numbers.
fn number(
    root: &DrawingArea<BitMapBackend<'_>, plotters::coord::Shift>,
    text: &str,
    (x, y): (i32, i32),
) -> anyhow::Result<()> {
    /// Five rows of three dots from the top left, highest bit first.
    const DIGITS: [u16; 10] = [
        0b111_101_101_101_111,
        0b010_110_010_010_111,
        0b111_001_111_100_111,
        0b111_001_111_001_111,
        0b101_101_111_001_001,
        0b111_100_111_001_111,
        0b111_100_111_101_111,
        0b111_001_010_010_010,
        0b111_101_111_101_111,
        0b111_101_111_001_111,
    ];
    for (at, character) in (0i32..).zip(text.chars()) {
        let dots = match character.to_digit(10) {
            Some(digit) => DIGITS[digit as usize],
            None => 0b000_000_000_000_010,
        };
        for dot in (0..15).filter(|dot| dots >> (14 - dot) & 1 == 1) {
            let corner = (x + at * 8 + dot % 3 * 2, y + dot / 3 * 2);
            root.draw(&Rectangle::new(
                [corner, (corner.0 + 1, corner.1 + 1)],
                BLACK.filled(),
            ))?;
        }
    }
    Ok(())
}
