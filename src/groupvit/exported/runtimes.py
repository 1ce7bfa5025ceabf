"""Runtimes of a graph: ONNX Runtime, or OpenVINO from the same file."""

import io
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, Literal, cast, get_args

import numpy as np
import torch

from groupvit import cache
from groupvit.errors import InputError
from groupvit.weights.digest import digest

Runtime = Literal["onnxruntime", "openvino"]
Choice = Literal["auto", "torch", "onnxruntime", "openvino"]
"""Runtime that a user chooses; `auto`: the fastest that computes the same as PyTorch."""
KERNELS = 512
"""Kernels that OpenVINO keeps for sizes of images that it has seen. By default it keeps 5,000, with
which memory grows by 4 MB for each new size, to more than a gigabyte."""
_LOCK = Lock()
"""Held while the core of OpenVINO is made."""
Compute = Callable[[np.ndarray], Sequence[np.ndarray]]
"""From a graph's only input to its outputs, in order."""


def choice(name: str) -> Choice:
    """The choice of this name.

    Raises:
        InputError: There is none.
    """
    for one in get_args(Choice):
        if one == name:
            return cast(Choice, one)
    raise InputError(f"runtime is {name!r}; known are {', '.join(get_args(Choice))}")


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
    """Computes with OpenVINO, in float32 or bfloat16; what it compiles is kept between runs."""
    ready_core = core()
    key = digest(of=f"{openvino_name(dtype)} {cache.digest([graph.read_bytes()])}")
    kept = cache.find("graphs", key)
    if kept is not None:
        with suppress(OSError, RuntimeError):  # deleted by another process, or damaged
            return openvino_import(kept.read_bytes(), dtype)
    try:
        compiled = ready_core.compile_model(str(graph), "CPU", openvino_settings(dtype))
    except RuntimeError as error:
        raise InputError(f"{graph} is damaged or no ONNX file: {error}") from error
    with suppress(InputError), cache.new("graphs", key) as path:  # or nothing can be kept
        path.write_bytes(compiled.export_model().getvalue())
    return openvino_compute(compiled)


def openvino_name(dtype: str) -> str:
    """Name, version and precision of OpenVINO, which is installed."""
    from openvino import __version__

    return f"openvino {__version__} {dtype}"


def has_openvino() -> bool:
    """True if OpenVINO is installed."""
    return find_spec("openvino") is not None


def core() -> Any:
    """OpenVINO's entry point: one for the process, which nothing deletes before its end.

    When OpenVINO's plug-in for CPUs is loaded, it gives the thread an alternate stack for signal
    handlers, and when it is deleted, it restores the one from before. Of two plug-ins that are
    deleted in the order of their creation, the second restores the stack of the first, whose memory
    is gone. The next signal that Python handles then ends the process by a segmentation fault, such
    as that of any child process that ends after a DataLoader of torch has had workers. With one
    plug-in for the life of the process this cannot happen.

    Raises:
        InputError: OpenVINO is not installed.
    """
    with _LOCK:  # or two threads could make one each
        return _core()


@lru_cache(maxsize=1)
def _core() -> Any:
    try:
        from openvino import Core
    except ImportError:
        raise InputError(
            "--runtime openvino needs openvino; install it with pip install 'groupvit[openvino]'"
        ) from None
    return Core()


def openvino_settings(dtype: str) -> dict[str, Any]:
    """Settings of OpenVINO's plug-in for CPUs."""
    return {
        "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[dtype],
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "CPU_RUNTIME_CACHE_CAPACITY": KERNELS,
    }


def openvino_import(blob: bytes, dtype: str) -> Compute:
    """Computes with what OpenVINO compiled before, on the same kind of processor.

    Raises:
        RuntimeError: It is damaged, or of another version.
    """
    return openvino_compute(core().import_model(io.BytesIO(blob), "CPU", openvino_settings(dtype)))


def openvino_compute(compiled: Any) -> Compute:
    """Computes with a compiled model of OpenVINO; several threads may call it."""
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
