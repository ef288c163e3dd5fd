"""The text networks of the zoo: keys, sizes, and numbers at several lengths against plain torch.

The oracles are `tests/zoo/text_oracles.py`. Where the `transformers` package is installed, its
models are oracles, too: `pip install transformers`, then
`.venv/bin/python -m pytest tests/zoo/test_text.py -k huggingface`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from archc.compile import Checked, check_file, check_source
from archc.diagnostics import Source
from archc.graph import Graph
from archc.parity import compare
from archc.runtime.model import open_session
from archc.targets.onnx import write_onnx
from archc.targets.torch import emit_torch, load_module
from archc.weights import load_weights
from tests.targets.torch_reference import assert_tidy
from tests.zoo import text_oracles as oracles
from tests.zoo.catalogue import spec_path
from tests.zoo.oracle import torchvision_models

Sizes = dict[str, Any]


@dataclass(frozen=True)
class Text:
    """A text network of the zoo.

    Attributes:
        spec: its file.
        make: the oracle, from the spec's params.
        small: params for a small network with every part of the large one.
        full: variant -> params of the oracle, and the number of parameters that is published.
        vocab: what small ids lie below, for each input.
    """

    spec: str
    make: Callable[..., nn.Module]
    small: Sizes
    full: dict[str, tuple[Sizes, int]]
    vocab: tuple[int, ...]


_BERT = {"vocab": 30522, "length": 512, "types": 2, "width": 768, "depth": 12, "heads": 12}
_GPT2 = {"vocab": 50257, "length": 1024, "width": 768, "depth": 12, "heads": 12}
_LLAMA = {"vocab": 32000, "width": 2048, "hidden": 5632, "depth": 22, "heads": 32, "kv_heads": 4}

NETWORKS = [
    Text(
        "bert",
        oracles.Bert,
        {
            **{"vocab": 50, "length": 40, "types": 3, "width": 24},
            **{"depth": 2, "heads": 3, "hidden": 40},
        },
        {
            "bert_base": ({**_BERT, "hidden": 3072}, 109_482_240),
            "bert_large": (
                {**_BERT, "width": 1024, "depth": 24, "heads": 16, "hidden": 4096},
                335_141_888,
            ),
        },
        (50, 2, 3),
    ),
    Text(
        "gpt2",
        oracles.Gpt2,
        {"vocab": 50, "length": 40, "width": 24, "depth": 2, "heads": 3},
        {
            "gpt2": (_GPT2, 124_439_808),
            "gpt2_medium": ({**_GPT2, "width": 1024, "depth": 24, "heads": 16}, 354_823_168),
        },
        (50,),
    ),
    Text(
        "llama",
        oracles.Llama,
        {
            **{"vocab": 50, "width": 32, "hidden": 40, "depth": 2},
            **{"heads": 4, "kv_heads": 2, "theta": 500.0},
        },
        {"tiny_llama": (_LLAMA, 1_100_048_384)},
        (50,),
    ),
    Text(
        "tagger",
        oracles.Tagger,
        {"vocab": 50, "tags": 5, "width": 12, "hidden": 9, "depth": 2},
        {
            "": (
                {"vocab": 20000, "tags": 17, "width": 100, "hidden": 128, "depth": 1},
                # 4 gates of 128 features that read 100 and 128 others, two biases, two directions.
                20000 * 100 + 2 * 4 * 128 * (100 + 128 + 2) + 257 * 17,
            )
        },
        (50,),
    ),
]
each = pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.spec)
RUNS = [(1, 1), (2, 7), (3, 40)]


def checked(network: Text, variant: str | None = None, params: Sizes | None = None) -> Checked:
    overrides = {name: str(value) for name, value in (params or {}).items()}
    found = check_file(spec_path(network.spec), variant, overrides)
    assert found.graph is not None, [str(d) for d in found.diagnostics]
    assert not found.diagnostics
    return found


def small_graph(network: Text) -> Graph:
    graph = checked(network, params=network.small).graph
    assert graph is not None
    return graph


def randomised(module: nn.Module, seed: int = 0) -> nn.Module:
    """Every parameter drawn, biases and gains included: nothing at a value that hides mistakes."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=rng)
            spread = 0.2 if parameter.dim() < 2 else parameter.shape[-1] ** -0.5
            parameter.copy_(spread * noise + (parameter.dim() < 2))
    return module.eval()


def draw(network: Text, batch: int, length: int, seed: int = 0) -> list[torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    inputs = [torch.randint(0, vocab, (batch, length), generator=rng) for vocab in network.vocab]
    if len(inputs) > 1:
        inputs[1][:, 0] = 1  # a sample without any visible token means nothing
    return inputs


def outputs(result: Any) -> dict[str, np.ndarray]:
    named = result if isinstance(result, dict) else {"output": result}
    return {name: tensor.detach().numpy() for name, tensor in named.items()}


# -- keys and sizes ---------------------------------------------------------------------------


@each
def test_keys_shapes_and_parameters_are_the_oracles(network: Text) -> None:
    for variant, (params, published) in network.full.items():
        graph = checked(network, variant or None).graph
        assert graph is not None
        with torch.device("meta"):
            oracle = network.make(**params)
        theirs = {key: tuple(tensor.shape) for key, tensor in oracle.state_dict().items()}
        refs = {ref.own_key: ref.weight for node in graph.nodes for ref in node.weights}
        assert {key: weight.shape for key, weight in refs.items()} == theirs
        assert graph.parameter_count == published
        assert sum(parameter.numel() for parameter in oracle.parameters()) == published


def test_lengths_beyond_a_table_are_refused_before_anything_runs() -> None:
    for network in NETWORKS[:2]:
        found = check_file(spec_path(network.spec), None, {"length": "16"})
        assert found.graph is not None
        assert 16 in found.graph.sizes["T"]
        assert 17 not in found.graph.sizes["T"]
        text = Path(spec_path(network.spec)).read_text(encoding="utf-8")
        longer = text.replace("{max: length}", "{max: length + 1}")
        (problem,) = check_source(Source("longer.yaml", longer)).diagnostics
        assert problem.code == "unfit-size"
        assert "`add_positions` needs T <= " in problem.message


# -- numbers ----------------------------------------------------------------------------------


@each
def test_checkpoints_load_unchanged_and_outputs_agree(network: Text, tmp_path: Path) -> None:
    graph = small_graph(network)
    oracle = randomised(network.make(**network.small))
    checkpoint = tmp_path / "weights.pth"
    torch.save(oracle.state_dict(), checkpoint)
    weights, problems = load_weights(str(checkpoint), graph)
    assert weights is not None, problems
    module = load_module(emit_torch(graph), weights).eval()
    feeds = [draw(network, *run) for run in RUNS]
    with torch.no_grad():
        own = [outputs(module(*feed)) for feed in feeds]
        plain = [outputs(oracle(*feed)) for feed in feeds]
        exact = [outputs(oracle.double()(*feed)) for feed in feeds]
    path = tmp_path / "model.onnx"
    assert not write_onnx(graph, weights, path).diagnostics
    names = [value.name for value in graph.inputs]
    results = {"torch": own}
    for mode, optimized in (("written", False), ("optimised", True)):
        session = open_session(path, optimized=optimized)
        results[mode] = [
            dict(
                zip(
                    graph.outputs,
                    session.run(None, {n: x.numpy() for n, x in zip(names, feed, strict=True)}),
                    strict=True,
                )
            )
            for feed in feeds
        ]
    for target, found in results.items():
        for run, mine, theirs, truth in zip(RUNS, found, plain, exact, strict=True):
            assert mine.keys() == truth.keys()
            for name in truth:
                sizes = dict(zip("NT", run, strict=True))
                result = compare(name, sizes, False, theirs[name], mine[name], truth[name])
                assert result.ok, (target, result)


@each
def test_gradients_are_the_oracles(network: Text, tmp_path: Path) -> None:
    oracle = randomised(network.make(**network.small)).double()
    module = load_module(emit_torch(small_graph(network))).eval().double()
    module.load_state_dict(oracle.state_dict())
    feed = draw(network, 2, 7)
    for net in (oracle, module):
        sum(y.square().mean() for y in _tensors(net(*feed))).backward()
    theirs = dict(oracle.named_parameters())
    for name, parameter in module.named_parameters():
        torch.testing.assert_close(parameter.grad, theirs[name].grad, msg=name)


def _tensors(result: Any) -> list[torch.Tensor]:
    return list(result.values()) if isinstance(result, dict) else [result]


@pytest.mark.parametrize("spec", ["gpt2", "llama"])
def test_later_tokens_change_nothing_before_them(spec: str, tmp_path: Path) -> None:
    (network,) = (one for one in NETWORKS if one.spec == spec)
    graph = small_graph(network)
    path = tmp_path / "model.onnx"
    oracle = randomised(network.make(**network.small))
    torch.save(oracle.state_dict(), tmp_path / "w.pth")
    weights, _ = load_weights(tmp_path / "w.pth", graph)
    assert weights is not None
    assert not write_onnx(graph, weights, path).diagnostics
    session = open_session(path, optimized=True)
    module = load_module(emit_torch(graph), weights).eval()
    (ids,) = draw(network, 2, 9)
    for place in (1, 5, 8):
        other = ids.clone()
        other[:, place] = (other[:, place] + 1) % network.vocab[0]
        for run in (
            lambda x: module(x).detach().numpy(),
            lambda x: session.run(None, {"input_ids": x.numpy()})[0],
        ):
            first, second = run(ids), run(other)
            np.testing.assert_array_equal(first[:, :place], second[:, :place])
            assert (np.abs(first - second)[:, place:].max(axis=(0, 2)) > 0).all()


def test_hidden_tokens_change_nothing_elsewhere() -> None:
    network = NETWORKS[0]
    module = load_module(emit_torch(small_graph(network))).eval()
    ids, visible, types = draw(network, 3, 9)
    other = torch.where(visible == 0, (ids + 1) % network.vocab[0], ids)
    first, second = (module(x, visible, types) for x in (ids, other))
    kept = visible.bool()
    assert not kept.all()
    assert torch.equal(first["last_hidden_state"][kept], second["last_hidden_state"][kept])
    assert torch.equal(first["pooler_output"], second["pooler_output"])


# -- the generated source ---------------------------------------------------------------------


@each
def test_modules_compile_whole_and_export_with_open_sizes(network: Text) -> None:
    module = load_module(emit_torch(small_graph(network))).eval()
    feed = tuple(draw(network, 2, 7))
    expected = outputs(module(*feed))
    # Recurrent layers of torch are compiled only if asked for, and exported for one length only.
    is_recurrent = network.spec == "tagger"
    with torch._dynamo.config.patch(allow_rnn=is_recurrent):
        compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
        found_compiled = outputs(compiled(*feed))
    for name, found in found_compiled.items():
        np.testing.assert_allclose(found, expected[name], rtol=1e-4, atol=1e-5)
    batch, length = torch.export.Dim("N", max=64), torch.export.Dim("T", max=40)
    free = tuple({0: batch} if is_recurrent else {0: batch, 1: length} for _ in feed)
    exported = torch.export.export(module, feed, dynamic_shapes=free).module()
    for run in [(3, 7)] if is_recurrent else [(3, 40), (5, 2)]:
        more = draw(network, *run)
        wanted = outputs(module(*more))
        for name, found in outputs(exported(*more)).items():
            np.testing.assert_allclose(found, wanted[name], rtol=1e-4, atol=1e-5)


@each
def test_sources_are_tidy(network: Text) -> None:
    assert_tidy(emit_torch(small_graph(network)))


def test_layers_that_take_a_mask_run_in_a_loop() -> None:
    text = emit_torch(small_graph(NETWORKS[0])).text
    assert "class LayerList(nn.ModuleList):" in text
    assert "super().__init__([Layer() for _ in range(2)])" in text
    assert "        for layer in self:\n            x = layer(x, attention_mask)\n" in text


def test_gpt2_has_one_table_for_tokens_and_outputs() -> None:
    network = NETWORKS[1]
    module = load_module(emit_torch(small_graph(network)))
    parameters = dict(module.named_parameters())
    assert "transformer.wte.weight" in parameters
    assert "lm_head.weight" not in parameters
    state = module.state_dict()
    assert state["lm_head.weight"].data_ptr() == state["transformer.wte.weight"].data_ptr()


# -- Hugging Face -----------------------------------------------------------------------------


def _huggingface(network: Text) -> tuple[nn.Module, str]:
    """Its model at the small sizes, and the prefix that its keys lack."""
    if importlib.util.find_spec("transformers") is None:
        pytest.skip("transformers is not installed")
    torchvision_models()  # which transformers imports, and a CPU build of torch needs help with
    transformers = importlib.import_module("transformers")
    sizes = network.small
    common = {"vocab_size": sizes["vocab"], "attn_implementation": "eager"}
    if network.spec == "bert":
        config = transformers.BertConfig(
            **common,
            hidden_size=sizes["width"],
            num_hidden_layers=sizes["depth"],
            num_attention_heads=sizes["heads"],
            intermediate_size=sizes["hidden"],
            max_position_embeddings=sizes["length"],
            type_vocab_size=sizes["types"],
        )
        return transformers.BertModel(config), "bert."
    if network.spec == "gpt2":
        config = transformers.GPT2Config(
            **common,
            n_positions=sizes["length"],
            n_embd=sizes["width"],
            n_layer=sizes["depth"],
            n_head=sizes["heads"],
        )
        return transformers.GPT2LMHeadModel(config), ""
    config = transformers.LlamaConfig(
        **common,
        hidden_size=sizes["width"],
        intermediate_size=sizes["hidden"],
        num_hidden_layers=sizes["depth"],
        num_attention_heads=sizes["heads"],
        num_key_value_heads=sizes["kv_heads"],
        rope_parameters={"rope_type": "default", "rope_theta": sizes["theta"]},
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
    )
    return transformers.LlamaForCausalLM(config), ""


@each
def test_keys_and_outputs_are_those_of_huggingface(network: Text) -> None:
    if network.spec not in {"bert", "gpt2", "llama"}:
        pytest.skip("no network of Hugging Face")
    oracle, prefix = _huggingface(network)
    oracle = randomised(oracle)
    state = {f"{prefix}{key}": tensor for key, tensor in oracle.state_dict().items()}
    module = load_module(emit_torch(small_graph(network))).eval()
    assert module.load_state_dict(state, strict=True).missing_keys == []
    plain = network.make(**network.small).eval()
    plain.load_state_dict(state)
    for run in RUNS:
        feed = draw(network, *run)
        with torch.no_grad():
            theirs = oracle(*feed)
            found = outputs(module(*feed))
        wanted = {
            name: getattr(theirs, "logits" if name == "output" else name).numpy() for name in found
        }
        exact = outputs(plain.double()(*feed))
        plain.float()
        for name, mine in found.items():
            sizes = dict(zip("NT", run, strict=True))
            result = compare(name, sizes, False, wanted[name], mine, exact[name])
            assert result.ok, result
