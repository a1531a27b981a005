//! The FLUX.2 [klein] family: transformer, autoencoder, schedule, regions.
