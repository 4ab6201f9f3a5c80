"""llama.cpp's own programs and the inputs of comparisons with them: build, model files, prompts, cores."""
from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def fail(message):
    sys.exit(f"error: {message}")


def build(patched):
    """The folder of llama-bench, llama-speculative-simple and llama-server, built when they are not there yet.

    `patched` is from the tree of wanspec's own engine, with dev/patches; otherwise as llama.cpp is released.
    """
    command = [ROOT / "dev" / "build-llama-programs", *([] if patched else ["--stock"])]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if result.returncode:
        sys.exit(result.returncode)
    return pathlib.Path(result.stdout.strip().splitlines()[-1])


def pinned(cpus):
    """The start of a command line that keeps a program on these cores, such as "0" or "0-1"."""
    if shutil.which("taskset"):
        return ["taskset", "-c", str(cpus)]
    print("note: there is no taskset; the programs are not pinned to a core", file=sys.stderr)
    return []


def model_file(program, model):
    """The GGUF file of a name of the catalogue; a file is what it is."""
    if os.path.isfile(model):
        return os.path.abspath(model)
    environment = {key: value for key, value in os.environ.items() if key != "WANSPEC_JSON"}
    try:
        result = subprocess.run([program, "models", "path", model], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env=environment)
    except OSError as error:
        fail(f"cannot run {program}: {error.strerror} (build it with: make build)")
    path = result.stdout.strip()
    if result.returncode or not os.path.isfile(path):
        fail(f"there is no model {model} here (get it with: {program} models pull {model})")
    return path


def read_prompts(path, limit):
    """Prompts spread evenly over the tasks, in the file's order within each task. `limit` 0: all."""
    tasks = {}
    try:
        lines = open(path, encoding="utf-8")
    except OSError as error:
        fail(f"cannot read {path}: {error.strerror}")
    with lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
                record["prompt"], record.setdefault("id", f"line-{number}")
            except (ValueError, KeyError, TypeError):
                fail(f'{path}, line {number}: not a JSON object with a "prompt"')
            tasks.setdefault(record.get("task", "all"), []).append(record)
    everything = [records[i] for i in range(max(map(len, tasks.values()), default=0))
                  for records in tasks.values() if i < len(records)]
    if not everything:
        fail(f"{path} holds no prompts")
    return everything[:limit] if limit > 0 else everything
