//! What every recipe shares: run folder, checkpoints with exact resume, loss plot, progress bar.
