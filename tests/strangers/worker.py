"""A process that reads jobs, one JSON a line, and answers each: models are loaded where none of them was built.

A job: {"name": of a case, "stage": of `STAGES`, "folder": that `subjects.save` wrote}. An answer: {} where all is well,
or {"kind": the error's class, "text": what it says, "traceback": text}.
"""

import gc
import json
import os
import sys
import traceback
import warnings


def main():
    # What libraries print must not stand among the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    import keras

    from strangers import stages, subjects

    # Else each `clear_session` searches all that was imported for garbage.
    gc.freeze()
    for line in sys.stdin:
        job = json.loads(line)
        # As a script that has made none, one or two models before; of a pair always as many.
        keras.utils.clear_session()
        subjects.use_names(len(job["name"] + job["stage"]) % 3)
        try:
            swap = job["stage"] in stages.SWAPPED
            stages.STAGES[job["stage"]](subjects.loaded(job["name"], job["folder"], swap))
            answer = {}
        except Exception as error:
            answer = {"kind": type(error).__name__, "text": str(error), "traceback": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
