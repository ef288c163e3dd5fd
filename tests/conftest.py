"""Settings of all tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# No time limits per example: machines are shared and noisy. The same examples on every run, so
# that a failure is a change of ours; `--hypothesis-seed` and -m exhaustive explore further.
settings.register_profile(
    "archc",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("archc")
