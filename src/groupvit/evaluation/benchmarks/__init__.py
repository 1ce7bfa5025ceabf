"""What is measured on: images with masks, published, drawn, or your own."""
