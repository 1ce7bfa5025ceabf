"""Runtimes of a graph: ONNX Runtime, or OpenVINO from the same file."""

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Literal

import numpy as np
import torch

from groupvit.errors import InputError

Runtime = Literal["onnxruntime", "openvino"]
Compute = Callable[[np.ndarray], Sequence[np.ndarray]]
"""From a graph's only input to its outputs, in order."""


def ready(runtime: Runtime, graph: Path, *, dtype: str) -> Compute:
    """The graph, ready to compute on the CPU with as many threads as torch has.

    Raises:
        InputError: The file is missing or damaged, the runtime is not installed or does not know
            this dtype.
    """
    if not graph.is_file():
        raise InputError(f"{graph} is missing; export the model again")
    return RUNTIMES[runtime](graph, dtype)


def onnx_runtime(graph: Path, dtype: str) -> Compute:
    """Computes with ONNX Runtime, in float32 or what the graph is quantized to."""
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as errors
    except ImportError:
        raise InputError(
            "this exported model needs onnxruntime; install it with pip install 'groupvit[export]'"
        ) from None
    if dtype != "float32":
        raise InputError(f"onnxruntime has no {dtype} here; take float32, or --runtime openvino")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Threads that wait by spinning would take the cores from what torch does in between.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    broken = (errors.Fail, errors.InvalidGraph, errors.InvalidProtobuf, errors.InvalidArgument)
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except broken as error:
        raise InputError(f"{graph} is damaged or no ONNX file: {error}") from error
    (given,) = session.get_inputs()

    def compute(values: np.ndarray) -> Sequence[np.ndarray]:
        found: Sequence[np.ndarray] = session.run(None, {given.name: values})
        return found

    return compute


def openvino(graph: Path, dtype: str) -> Compute:
    """Computes with OpenVINO, in float32 or bfloat16."""
    try:
        from openvino import Core
    except ImportError:
        raise InputError(
            "--runtime openvino needs openvino; install it with pip install 'groupvit[openvino]'"
        ) from None
    settings = {
        "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[dtype],
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    try:
        compiled = Core().compile_model(str(graph), "CPU", settings)
    except RuntimeError as error:
        raise InputError(f"{graph} is damaged or no ONNX file: {error}") from error

    lock = Lock()  # a compiled model has one request, which refuses a second caller

    def compute(values: np.ndarray) -> Sequence[np.ndarray]:
        with lock:
            found = compiled(values)
            return [found[output] for output in compiled.outputs]

    return compute


RUNTIMES: dict[Runtime, Callable[[Path, str], Compute]] = {
    "onnxruntime": onnx_runtime,
    "openvino": openvino,
}
