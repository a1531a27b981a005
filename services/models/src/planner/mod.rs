//! From a prompt to a plan with a language model.
