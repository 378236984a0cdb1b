# SPDX-License-Identifier: Apache-2.0
"""The programs in README.md do what README.md says."""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ["SKEP_BUILD"]).resolve()


def programs(language):
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / "README.md").read_text(), re.S | re.M)


def output_of(*command, **environment):
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=30)
    if done.returncode:
        sys.exit(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def expect(language, output, wanted):
    if output != wanted:
        sys.exit(f"the {language} example printed {output!r}, not {wanted!r}")
    print(f"{language}: as written")


with tempfile.TemporaryDirectory() as folder:
    source, binary, script = (Path(folder) / name for name in ("hello.c", "hello", "hello.py"))
    library = BUILD / "lib"
    for text, wanted in zip(programs("c"), ("hello\n", "998001\n"), strict=True):
        source.write_text(text)
        output_of(os.environ.get("CC", "cc"), "-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'include'}", source, f"-L{library}", "-lskep", "-o",
                  binary)
        expect("C", output_of(binary, LD_LIBRARY_PATH=str(library)), wanted)
    script.write_text(programs("python")[0])
    expect("Python", output_of(sys.executable, script, PYTHONPATH=str(BUILD / "python")), "(3, 2048, 2048) 1.0\n")
