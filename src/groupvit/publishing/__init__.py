"""Models given to others on the Hugging Face hub, with a card that tells what is known of them."""
