"""Messages written by hand are those that protobuf would write."""

from __future__ import annotations

import onnx
from hypothesis import example, given
from hypothesis import strategies as st
from onnx import AttributeProto, TensorProto

from archc.targets.onnx import proto
from archc.targets.onnx.builder import OnnxNode
from archc.targets.onnx.wire import frame, integer, single, varint
from archc.types import DType, TensorType, symbol

_NAMES = {DType.FLOAT32: "FLOAT", DType.FLOAT64: "DOUBLE"}
_TEXT = st.text(st.characters(codec="utf-8"), max_size=200)
_INTEGERS = st.integers(-(2**63), 2**63 - 1)
_FLOATS = st.floats(allow_nan=False)


@given(st.integers(0, 2**63 - 1))
def test_varint_is_protobuf_s(value: int) -> None:
    tag = b"\x08"  # field 1, a varint
    assert tag + varint(value) == TensorProto(dims=[value]).SerializeToString()


@given(_INTEGERS)
def test_integer_is_protobuf_s(value: int) -> None:
    assert integer(3, value) == AttributeProto(i=value).SerializeToString()


@given(_FLOATS)
@example(3.5e38)
@example(-1e300)
@example(float("inf"))
@example(-0.0)
def test_single_is_protobuf_s(value: float) -> None:
    assert single(2, value) == AttributeProto(f=value).SerializeToString()


@given(st.sampled_from([0, 1, 127, 128, 300, 16383, 16384, 70000]))
def test_frame_is_protobuf_s(length: int) -> None:
    assert frame(9, length) + bytes(length) == (
        TensorProto(raw_data=bytes(length)).SerializeToString()
    )


@given(
    st.dictionaries(
        _TEXT,
        st.one_of(
            _INTEGERS,
            _FLOATS,
            _TEXT,
            st.lists(_INTEGERS, max_size=5),
            st.lists(_FLOATS, min_size=1, max_size=5),
            st.lists(_TEXT, min_size=1, max_size=5),
        ),
        max_size=5,
    ),
    st.lists(_TEXT, max_size=3),
    st.lists(_TEXT, max_size=3),
)
def test_a_node_is_what_onnx_makes(attributes, inputs: list[str], outputs: list[str]) -> None:
    node = OnnxNode("Conv", "conv", inputs, outputs, attributes, None)
    expected = onnx.NodeProto(op_type="Conv", name="conv", input=inputs, output=outputs)
    for name, value in sorted(attributes.items()):
        made = (
            onnx.helper.make_attribute(name, value)
            if value != []
            else AttributeProto(name=name, type=AttributeProto.INTS)
        )
        expected.attribute.append(made)
    assert proto._node(node) == expected.SerializeToString(deterministic=True)


@given(
    _TEXT,
    st.sampled_from(DType),
    st.lists(st.one_of(st.integers(0, 2**40), st.just(symbol("N") + 1)), max_size=5),
)
def test_a_value_is_what_onnx_makes(name: str, dtype: DType, shape) -> None:
    element = TensorProto.DataType.Value(_NAMES.get(dtype, dtype.value.upper()))
    dims = [dim if isinstance(dim, int) else "N + 1" for dim in shape]
    expected = onnx.helper.make_tensor_value_info(name, element, dims)
    written = proto._value_info(name, TensorType(tuple(shape), dtype))
    assert written == expected.SerializeToString(deterministic=True)


def test_external_data_are_referred_to_as_onnx_does() -> None:
    written = proto.external_initializer(
        "w", TensorType((3, 2), DType.FLOAT32), {"location": "w.data", "offset": "64"}
    )
    graph = onnx.GraphProto.FromString(written)
    assert graph.SerializeToString(deterministic=True) == written
    (tensor,) = graph.initializer
    assert onnx.external_data_helper.uses_external_data(tensor)
    info = onnx.external_data_helper.ExternalDataInfo(tensor)
    assert (info.location, info.offset, list(tensor.dims)) == ("w.data", 64, [3, 2])
