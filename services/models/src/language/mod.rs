//! Language models: decoder, tokenizer, chat template, what is written with them, and text as states for other models.

mod chat;
mod decoder;
mod error;
mod files;
mod model;
mod sampling;
mod text_encoder;
mod text_states;
mod tokenizer;
mod writer;

pub use chat::{ChatTemplate, Message};
pub use decoder::{
    Adapter, Biases, Cache, Decoder, DecoderConfig, Memory, PROJECTIONS, Positions, Rope, Scaling,
    Slots,
};
pub use error::LanguageError;
pub use files::{ends, padding};
pub use model::LanguageModel;
pub use sampling::{Sampler, Sampling};
use tch::{Device, Kind};
pub use text_encoder::{Reading, TextEncoder};
pub use text_states::TextStates;
pub use tokenizer::Tokenizer;
pub use writer::{Beginning, Ended, Guide, Next, TextId, Until, Writer};

/// The kind that language models compute in on a device. On the CPU bf16 reads prompts 1.7 times as fast but writes only a tenth faster,
/// and needs instructions that many processors lack.
pub const fn kind_for(device: Device) -> Kind {
    match device {
        Device::Cpu => Kind::Float,
        _ => Kind::BFloat16,
    }
}
