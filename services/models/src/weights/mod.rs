//! Checkpoints: safetensors and GGUF, strictly checked.
