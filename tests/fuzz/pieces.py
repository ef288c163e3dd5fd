"""What mutations put into specs: tokens, and values of every kind."""

from __future__ import annotations

PIECES = (
    *"[]{}:,-?!&*|>%@`'\"#~<()+/=\\",
    *(" ", "  ", "\n", "\n  ", "\n\t", "\r\n", "\r", "\x85", "\u2028", "\ufeff", "\0", "\x1b[2J"),
    *(": ", "- ", "? ", "<<: ", "&a ", "*a", "!!x ", "---\n", "...\n", "%YAML 1.2\n", "| \n"),
    *("\u202e", "\u2066", "\U0001f600", "\xe9", "\ud800", "\u200b", "a" * 300, "[" * 80, "0" * 70),
    *("for i in range(99): ", "if true: ", "else: ", "when: ", "from: ", "side: ", "expect: "),
    *(
        "residual: ",
        "concat: ",
        "seq: ",
        "op: ",
        "layers:",
        "params: ",
        "let: ",
        "body: ",
        "init: ",
        "tie: ",
        "keys: ",
        "preprocess: ",
        "checkpoint: ",
    ),
    *("in_channels", "in_shape", "range(9**9)", "9**9**9", "none", "true", "N", "H // 2", ".nan"),
)
"""Tokens of YAML and of the language, and characters that nobody expects."""

VALUES = (
    *("0", "-1", "1", "2", "1.5", "1e400", "-.inf", ".nan", "1e-320", "true", "none", "~", "''"),
    *("9223372036854775807", "9223372036854775808", "1" + "0" * 40, "4611686018427387904", "65537"),
    *("2147483648", "1000000007", "10**12", "10**15", "2**62", "-(2**62)", "range(10**12)"),
    *("[]", "[1]", "[1, 2, 3, 4, 5]", "[[1]]", "{}", "{a: 1}", "relu", "{gelu: tanh}", "half"),
    *("N", "H", "W", "in_channels", "in_height", "in_shape", "in_channels * 10**9", "H * W * N"),
    *("'[0] * 99999'", "'[[0] * 999] * 999'", "H % 2", "1 / 3", "(H + 1) // 2", "min(H, W)", "x.y"),
    *(
        "'[i for i in range(90000)]'",
        "'max(1, 8)'",
        "sum(range(99999))",
        "__import__",
        "1 if H > 3 else 2",
    ),
    *(
        '"\\e[31m"',
        '"\\u202e"',
        "a\u202eb",
        "../../etc/passwd",
        "a.b.c",
        "{i}",
        "'{1 + 1}'",
        "self",
        "bicubic",
        "'**.*'",
        "'**.*.**'",
        "encoder.weight",
        "normal(1, -1)",
        "[0.5, 0, 1]",
    ),
)
"""Values of every kind, mostly the wrong ones."""

WRONG = (
    *("-7", "1e400", ".nan", "9**9**9", "10**20", "range(10**12)", "1 // 0", "x.y", "__import__"),
    *("nobody", "nobody + 1", "2 +", "(2", "f(2)", "[2] * 2 - 1", "'2 = 2'", "lambda: 2", "2 if 2"),
)
"""Values that are at fault wherever they stand."""
