"""What a typed graph is written as: ONNX, PyTorch source, a report, an expanded spec."""
