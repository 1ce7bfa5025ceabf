"""Strings to token ids: tokenizer, prompts and labels."""
