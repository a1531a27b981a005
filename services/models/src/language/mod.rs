//! Language models: decoder, tokenizer, sampling, grammar.
