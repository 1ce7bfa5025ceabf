"""Text: tokenizer, prompts, labels and the nouns of captions."""
