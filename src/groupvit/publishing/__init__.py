"""Publishing of models on the Hugging Face hub, with model cards."""
