"""Turns a Llama-family model and its tokenizer into a generator folder; see scripts/export_generator.py."""
