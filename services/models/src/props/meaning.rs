//! The nearest thing by meaning: cosine similarity of text embeddings, less what all names have in common.

use super::library::Prop;

/// Similarity below which a neighbour means nothing.
pub const NEAR_ENOUGH: f32 = 0.5;

/// Other names of a thing that are embedded beside its name.
const NAMES_EACH: usize = 4;

/// Unit vectors of names, each with the index of its thing.
#[derive(Debug)]
pub struct Meanings {
    mean: Vec<f32>,
    names: Vec<(usize, Vec<f32>)>,
}

impl Meanings {
    /// Embeds the names of all things.
    pub fn of(props: &[Prop], embed: &dyn Fn(&str) -> Vec<f32>) -> Self {
        let raw: Vec<(usize, Vec<f32>)> = props
            .iter()
            .enumerate()
            .flat_map(|(index, prop)| {
                std::iter::once(&prop.name)
                    .chain(prop.synonyms.iter().take(NAMES_EACH))
                    .map(move |name| (index, embed(name)))
            })
            .collect();
        let length = raw.first().map_or(0, |(_, vector)| vector.len());
        let mut mean = vec![0.0; length];
        for (_, vector) in &raw {
            for (sum, value) in mean.iter_mut().zip(vector) {
                *sum += value / raw.len() as f32;
            }
        }
        let names = raw
            .into_iter()
            .filter_map(|(index, vector)| Some((index, unit(&vector, &mean)?)))
            .collect();
        Self { mean, names }
    }

    /// The thing whose name is nearest to an embedding, with the cosine similarity.
    pub fn nearest(&self, embedding: &[f32]) -> Option<(usize, f32)> {
        let vector = unit(embedding, &self.mean)?;
        self.names
            .iter()
            .map(|(index, name)| {
                (
                    *index,
                    name.iter().zip(&vector).map(|(a, b)| a * b).sum::<f32>(),
                )
            })
            .max_by(|a, b| a.1.total_cmp(&b.1))
    }
}

/// `vector - mean` with length 1; none when there is nothing left or the lengths differ.
fn unit(vector: &[f32], mean: &[f32]) -> Option<Vec<f32>> {
    if vector.len() != mean.len() {
        return None;
    }
    let centred: Vec<f32> = vector
        .iter()
        .zip(mean)
        .map(|(value, mean)| value - mean)
        .collect();
    let norm = centred
        .iter()
        .map(|value| value * value)
        .sum::<f32>()
        .sqrt();
    (norm.is_finite() && norm > 1e-6).then(|| centred.iter().map(|value| value / norm).collect())
}
