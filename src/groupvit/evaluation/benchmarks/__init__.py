"""What is measured on: pictures with masks, published, drawn, or your own."""
