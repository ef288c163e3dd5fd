"""Which words a spec mentions (what nobody mentions is unused), and which names it gives."""

from __future__ import annotations

import re
from collections.abc import Iterator

from archc.spec.syntax import (
    Block,
    Broken,
    Call,
    Chain,
    ForItem,
    Group,
    IfItem,
    Join,
    Layer,
    LayerItem,
    Section,
    Spec,
)
from archc.spec.tree import Node, Scalar
from archc.spec.tree import Sequence as SequenceNode

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def spec_words(spec: Spec) -> Iterator[str]:
    """Words that a file mentions outside the keys that declare them."""
    chains = [block.chain for block in spec.blocks.values()]
    if spec.layers is not None:
        chains.append(spec.layers)
    for chain in chains:
        yield from _chain_words(chain)
    groups = [
        spec.lets,
        spec.expect,
        *spec.variants.values(),
        *(block.lets for block in spec.blocks.values()),
        *(arguments for _, arguments in spec.defaults.values()),
    ]
    for group in groups:
        for argument in group.values():
            yield from _node_words(argument.value)
    for params in (spec.params, *(block.params for block in spec.blocks.values())):
        for param in params.values():
            yield from _node_words(param.default)
    for declared in spec.inputs:
        yield from _node_words(declared.shape)
    for node in (spec.preprocess, spec.outputs):
        yield from _node_words(node)


def block_words(block: Block) -> Iterator[str]:
    """Words that a block mentions."""
    yield from _chain_words(block.chain)
    for argument in block.lets.values():
        yield from _node_words(argument.value)
    for param in block.params.values():
        yield from _node_words(param.default)


def _node_words(node: Node | None) -> Iterator[str]:
    if node is None:
        return
    if isinstance(node, Scalar):
        yield from _WORD.findall(node.text)
    elif isinstance(node, SequenceNode):
        for item in node.items:
            yield from _node_words(item)
    else:
        for entry in node.entries:
            yield from _WORD.findall(entry.key.text)
            yield from _node_words(entry.value)


def _chain_words(chain: Chain | None) -> Iterator[str]:
    if chain is None:
        return
    for item in chain.items:
        if isinstance(item, LayerItem):
            yield from _node_words(item.name)
            yield from _layer_words(item.layer)
        elif isinstance(item, ForItem):
            yield from _node_words(item.header)
            yield from _chain_words(item.chain)
        else:
            assert isinstance(item, IfItem)
            for condition, body in item.arms:
                yield from _node_words(condition)
                yield from _chain_words(body)


def _layer_words(layer: Layer) -> Iterator[str]:
    if isinstance(layer, Broken):
        return
    if isinstance(layer, Section):
        yield from _chain_words(layer.chain)
        return
    common = layer.common
    for node in (common.origin, common.when, common.expect, common.init):
        yield from _node_words(node)
    if isinstance(layer, Call):
        yield from _WORD.findall(layer.head.text)
        yield from _node_words(layer.primary)
        for argument in layer.arguments.values():
            yield from _node_words(argument.value)
    else:
        if isinstance(layer, Join):
            for node in (layer.skip, layer.drop_path, layer.dim, layer.split):
                yield from _node_words(node)
        for part in parts(layer):
            yield from _chain_words(part)


def written_names(chain: Chain) -> Iterator[str]:
    """Names that are written in a chain and in what adds no level to it, but for templates."""
    for item in chain.items:
        if isinstance(item, ForItem):
            yield from written_names(item.chain)
        elif isinstance(item, IfItem):
            for _, body in item.arms:
                yield from written_names(body)
        elif item.name is None:
            for part in parts(item.layer):
                yield from written_names(part)
        elif "{" not in item.name.text:
            yield item.name.text


def parts(layer: Layer) -> Iterator[Chain]:
    """The chains that a structure holds."""
    if isinstance(layer, Group):
        yield layer.chain
    elif isinstance(layer, Join):
        for part in (layer.body, layer.shortcut, layer.then):
            if part is not None:
                yield part
