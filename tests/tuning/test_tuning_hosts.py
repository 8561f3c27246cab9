"""One search on two hosts, as examples/two_hosts.py says: its own command lines, at another address of this machine."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from keras_lstm_gates import tuning
from keras_lstm_gates.tuning.addresses import free_address

EXAMPLE = Path(__file__).parents[2] / "examples" / "two_hosts.py"


@pytest.mark.full
def test_the_documented_lines_of_two_hosts_search_together(tmp_path):
    documented = EXAMPLE.read_text().partition('"""\n\nimport')[0].replace("\\\n", "")
    lines = re.findall("^    KERASTUNER.*", documented, re.MULTILINE)
    assert [shlex.split(line)[0] for line in lines] == ["KERASTUNER_TUNER_ID=chief", "KERASTUNER_TUNER_ID=tuner0"]
    port = free_address().partition(":")[2]
    hosts = []
    for line in lines:
        for said, here in (
            ("192.168.1.10", "127.0.0.2"),
            ("8000", port),
            ("/shared/search", f"{tmp_path}/search --trials 3"),
            ("python examples/two_hosts.py", f"{sys.executable} {EXAMPLE}"),
        ):
            assert said in line
            line = line.replace(said, here)
        # A host of its own has no other host's variables.
        plain = {key: value for key, value in os.environ.items() if not key.startswith("KERASTUNER")}
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        hosts.append(subprocess.Popen(f"exec env {line}", shell=True, env=plain, **options))
    ended = [(host.communicate(), host.returncode) for host in hosts]
    assert [code for _, code in ended] == [0, 0], ended
    found = tuning.read(tmp_path / "search")
    assert [trial["status"] for trial in found.trials] == ["completed"] * 3
    assert {trial["worker"] for trial in found.trials} == {"tuner0"}
    (printed, errors), _ = ended[0]
    assert "3 completed" in printed
    assert "Traceback" not in errors
