"""Models that run elsewhere: both encoders as ONNX, in a folder that holds all they need."""
