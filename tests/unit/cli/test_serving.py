"""What a server does with its process once it has started."""

from __future__ import annotations

import gc

from zentry.cli.serving import tune_garbage_collection


def test_garbage_is_collected_again_once_the_start_is_over() -> None:
    thresholds = gc.get_threshold()
    gc.disable()
    try:
        tune_garbage_collection()

        assert gc.isenabled()
        assert gc.get_threshold() > thresholds
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
        gc.enable()
