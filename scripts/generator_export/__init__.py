"""Turns the weights and the tokenizer of a Llama-family model into a generator folder; see scripts/export_generator.py."""
