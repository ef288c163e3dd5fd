"""What the mutants that live concern, and why that is acceptable."""

from __future__ import annotations

import re

from tests.mutation.mutate import Mutant

CONCERNS: list[tuple[str, str, str]] = [
    (
        r"^(module|\w+(\.\w+)?): .*(MAX_\w+ = |_MAX_\w+ = |_FIRST_PROBES|_IN_ORDER)"
        r"|^Budget|steps: int = |MAX_LIST|_repeated|self\.(prefixes|aliased) = |\(node, end, 1",
        "Limits of time and memory, one up or down",
        "Which number it is, is a choice; that there is a limit, and that it holds in time, is "
        "what `tests/fuzz` and `tests/spec/test_expression_limits.py` test, those in the reference "
        "of the language to the last unit.",
    ),
    (
        r"_MODULES = |_rounds_to|_is_small|_end: |_parting|_threshold_matters|^module: `order = "
        r"|^module: `DType\.|FLOAT32_EPSILON|_demand_volume",
        "What only a lowering reads",
        "No test that this run takes writes the network in which it shows. Of 37 mutants of such "
        "functions and tables, those of `bins`, `one_or_tuple`, `hangs_over`, `resize_agrees` and "
        "of the modules of batch norm (10) were killed by the parity tests of `tests/ops` in a run "
        "of their own; what is listed here lived in it too, or was not reached: a table for sizes "
        "that are fixed, a crop of a transposed convolution with a dilation, an epsilon.",
    ),
    (
        r"^(_python_tree|find_spec|extreme|_proves): .*except|^_proved: ",
        "Exceptions that hardly any text raises",
        "A recursion or a size too deep is refused before by a limit; the handlers stay, should a "
        "limit be raised.",
    ),
    (
        r"frozen=|eq=|init=False",
        "How records compare and whether they can be changed",
        "`tests/types/test_limits.py` lists the records that may change and those that equal only "
        "themselves. These are evaluated on import, where this run takes no more tests than those "
        "that call the file.",
    ),
    (
        r"^(_extremum|_by_constant|_centre|_Axis\.step): ",
        "Forms and steps for which no example was found",
        "Of 5,824 random expressions (sums, products, floors, maxima, quotients of up to three "
        "sizes) none has another form, another bound, or is proved less. Values are tested against "
        "counting whatever the form.",
    ),
    (
        r"(WithJsonSchema|_schema: ).*minItems",
        "Lists of nothing in schemas",
        "The schema says that a list has an entry; the attribute takes an empty one, and the shape "
        "rule then misses the axes.",
    ),
    (
        r"^(_Complaint|explain_syntax|_tab|_escape|_is_closed|_second_colon|_Checker|_python_tree"
        r"|Tree\.place|parse|parse_expression|_shortened|_Frame|mend_split_values|_joined"
        r"|_Evaluator|module): |^_TargetReader|^_Composer",
        "Places and words of messages about text that is no YAML or no expression",
        "A place is off by a character, or a hint is missing or too many, in cases that the tests "
        "of messages do not hold; what is accepted stays the same. The fuzz asks that each such "
        "text has a place, and that a fault inside a layer is located there.",
    ),
    (
        r"",
        "Readers of the language",
        "Which of several words a suggestion names, and what is looked through for unused names; "
        "none accepts a spec that is not one, as elaboration refuses it.",
    ),
]
"""Of each concern a pattern, of which the first that fits counts, a title and an argument."""


def concern(mutant: Mutant) -> tuple[str, str]:
    """Title and argument of what a mutant concerns."""
    text = str(mutant).partition(": ")[2]
    found = (one for pattern, *one in CONCERNS if re.search(pattern, text))
    title, argument = next(found)
    return title, argument
