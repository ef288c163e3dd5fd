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
        "tested by `tests/fuzz` and `tests/spec/test_expression_limits.py`, for lists, characters, "
        "brackets, signs and sizes to the last unit.",
    ),
    (
        r"_MODULES = |_rounds_to|_is_small|_end: |_parting|_threshold_matters|^module: `order = "
        r"|^module: `DType\.|FLOAT32_EPSILON|_demand_volume",
        "What only a lowering reads",
        "No test that this run takes writes the network in which it shows. 37 mutants of such "
        "functions and tables were given the parity tests of `tests/ops`, too, which run networks: "
        "10 were killed (bins of adaptive pools, windows that hang over, which way to resize, the "
        "modules of batch norm). What is listed is reached by none of these tests, or shows in "
        "none of the networks that they draw.",
    ),
    (
        r"^(_python_tree|find_spec|extreme|_proves): .*except|^_proved: ",
        "Exceptions that hardly any text raises",
        "No test raises them: a limit refuses what is too deep or too long before. The handlers "
        "stay, should a limit be raised.",
    ),
    (
        r"frozen=|eq=|init=False",
        "How records are made",
        "A field that the constructor would take as well; nobody gives it. (Which records may "
        "change, and which equal only themselves, `tests/types/test_limits.py` lists.)",
    ),
    (
        r"^(_extremum|_by_constant|_centre): ",
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
        "What a message says of a spec that is refused either way, which of several words a "
        "suggestion names, what is looked through for names that are not used. That none of them "
        "accepts what is wrong, as elaboration refuses what a reader lets through, is judged by "
        "reading, not tested.",
    ),
]
"""Of each concern a pattern, of which the first that fits counts, a title and an argument."""


def concern(mutant: Mutant) -> tuple[str, str]:
    """Title and argument of what a mutant concerns."""
    text = str(mutant).partition(": ")[2]
    found = (one for pattern, *one in CONCERNS if re.search(pattern, text))
    title, argument = next(found)
    return title, argument
