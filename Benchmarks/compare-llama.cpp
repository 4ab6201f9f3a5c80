#!/usr/bin/env python3
"""Measures llama.cpp's own programs on the prompts of `wanspec bench`, for comparison.

Builds llama-bench and llama-speculative-simple (once, into the cache), pins them to one core, and runs

  llama-bench               token generation of the target alone, before, between and after the rest
  llama-speculative-simple  every prompt with every draft length, greedy; the lengths take turns in going
                            first, so that a machine that slows down slows all of them

Both are llama.cpp as it is released; --patched builds them from the tree of wanspec's own engine, which has
dev/patches, so that the same kernels compute on both sides and the rest of the difference is wanspec's.

A figure is decoding time over decoded tokens as the program prints it; loading and prefill are apart. Every run is a
process of its own and begins with empty caches, as `wanspec bench` does unless told otherwise. Every
result is written as soon as it exists (--json), and a run that was interrupted continues from that file.

Example:
  Benchmarks/compare-llama.cpp --target "$(wanspec models path qwen2.5-coder-1.5b-instruct-bf16)" \\
    --draft "$(wanspec models path qwen2.5-coder-0.5b-instruct)" --prompts prompts.jsonl --limit 24
"""

import argparse
import json
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from llama_programs import build, fail, pinned, read_prompts

CONTEXT = 4096  # tokens, as wanspec's default
ENCODED = re.compile(r"encoded\s+(\d+) tokens in\s+([\d.]+) seconds")
DECODED = re.compile(r"decoded\s+(\d+) tokens in\s+([\d.]+) seconds")
COUNTED = re.compile(r"n_(drafted|accept)\s*=\s*(\d+)")


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", required=True, metavar="FILE", help="target model (GGUF)")
    parser.add_argument("--draft", required=True, metavar="FILE", help="draft model (GGUF)")
    parser.add_argument("--prompts", required=True, metavar="FILE",
                        help='JSON lines: {"id": ..., "task": ..., "prompt": ...}')
    parser.add_argument("--limit", type=int, default=24, metavar="N",
                        help="prompts at most, spread over the tasks as wanspec bench does; 0: all (default 24)")
    parser.add_argument("--tokens", type=int, default=96, metavar="N", help="tokens for each prompt (default 96)")
    parser.add_argument("--cpu", type=int, default=0, metavar="N", help="core to pin to (default 0)")
    parser.add_argument("--draft-lengths", default="3,5,8", metavar="LIST", help="default 3,5,8")
    parser.add_argument("--system", metavar="TEXT", help="system message (default: none, as wanspec)")
    parser.add_argument("--patched", action="store_true", help="with dev/patches, as wanspec's own engine")
    parser.add_argument("--raw", action="store_true", help="prompts as they are, without ChatML around them")
    parser.add_argument("--json", metavar="FILE", help="write results here, and continue from it")
    parser.add_argument("--keep-text", action="store_true", help="keep the generated text in the results")
    options = parser.parse_args()
    for path in (options.target, options.draft, options.prompts):
        if not os.path.isfile(path):
            fail(f"there is no file {path}")
    try:
        options.lengths = sorted({int(n) for n in options.draft_lengths.split(",")})
    except ValueError:
        fail(f"--draft-lengths {options.draft_lengths} is not a list of numbers such as 3,5,8")
    if not options.lengths or min(options.lengths) < 1 or max(options.lengths) > 64:
        fail("--draft-lengths must be between 1 and 64")
    if not 1 <= options.tokens <= CONTEXT // 2:
        fail(f"--tokens must be between 1 and {CONTEXT // 2}")
    if not 0 <= options.cpu < os.cpu_count():
        fail(f"--cpu {options.cpu}: this machine has cores 0 to {os.cpu_count() - 1}")
    return options


class Child:
    """The program that is running, ended together with this one."""

    process = None

    @classmethod
    def run(cls, command):
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            cls.process = subprocess.Popen(command, stdout=out, stderr=err, stdin=subprocess.DEVNULL,
                                           start_new_session=True)
            try:
                status = cls.process.wait()
            finally:
                cls.stop()
            out.seek(0)
            err.seek(0)
            texts = (out.read().decode("utf-8", "replace"), err.read().decode("utf-8", "replace"))
        if status:
            tail = "\n".join((texts[1] or texts[0]).strip().splitlines()[-8:])
            fail(f"a program ended with exit code {status}: {' '.join(map(str, command))}\n{tail}")
        return texts

    @classmethod
    def stop(cls):
        process, cls.process = cls.process, None
        if process and process.poll() is None:
            process.kill()
            process.wait()


class Results:
    """Measurements so far, in memory and in the file."""

    def __init__(self, path, setting):
        self.path = path and pathlib.Path(path)
        self.data = {"setting": setting, "plain": [], "speculative": []}
        if self.path and self.path.exists():
            try:
                old = json.loads(self.path.read_text())
            except ValueError:
                fail(f"{path} exists and is not a result of this script; name another file")
            if old.get("setting") != setting:
                fail(f"{path} holds results of another setting; name another file or remove it")
            self.data = {**old, "plain": []}  # plain speed belongs to this run's machine state

    def find(self, prompt, length):
        return next((r for r in self.data["speculative"] if r["id"] == prompt and r["draft_length"] == length), None)

    def add(self, kind, row):
        self.data[kind].append(row)
        self.save()

    def save(self):
        if self.path:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self.path.with_name(self.path.name + ".tmp")
            temporary.write_text(json.dumps(self.data, indent=1) + "\n")
            temporary.replace(self.path)


def run_plain(folder, options, pin):
    out, _ = Child.run([*pin, folder / "llama-bench", "-m", options.target, "-t", "1", "-p", "0",
                        "-n", str(options.tokens), "-r", "2", "-o", "json"])
    return {"tokens_per_second": json.loads(out)[0]["avg_ts"], "time": time.time()}


def run_speculative(folder, options, pin, record, length):
    text = record["prompt"]
    if not options.raw:
        system = f"<|im_start|>system\n{options.system}<|im_end|>\n" if options.system else ""
        text = f"{system}<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
    # As a binary file: a text file would lose its last line feed.
    with tempfile.NamedTemporaryFile("wb", suffix=".txt") as prompt:
        prompt.write(text.encode())
        prompt.flush()
        out, err = Child.run([
            *pin, folder / "llama-speculative-simple", "-m", options.target, "-md", options.draft,
            "--spec-type", "draft-simple", "--spec-draft-n-max", str(length), "-bf", prompt.name, "--no-escape",
            "-n", str(options.tokens), "-c", str(CONTEXT), "-b", str(CONTEXT), "-t", "1", "-tb", "1", "-td", "1",
            "-tbd", "1", "--temp", "0", "--top-k", "1", "--sampling-seq", "k", "-lv", "3"])
    log = out + "\n" + err
    encoded, decoded = ENCODED.search(log), DECODED.search(log)
    if not encoded or not decoded:
        fail("llama-speculative-simple printed no figures; its output:\n" + log[-2000:])
    counts = {name: int(value) for name, value in COUNTED.findall(log)}
    row = {"id": record["id"], "task": record.get("task", "all"), "draft_length": length,
           "prompt_tokens": int(encoded[1]), "prefill_seconds": float(encoded[2]),
           "tokens": int(decoded[1]), "seconds": float(decoded[2]),
           "drafted": counts.get("drafted", 0), "accepted": counts.get("accept", 0)}
    if options.keep_text:
        row["text"] = out
    return row


def summary(results, lengths):
    """One row for each draft length over the prompts that all lengths have done."""
    rows = results.data["speculative"]
    done = set.intersection(*({r["id"] for r in rows if r["draft_length"] == n} for n in lengths))
    table = []
    for length in lengths:
        chosen = [r for r in rows if r["draft_length"] == length and r["id"] in done]
        if not chosen:
            continue
        tokens = sum(r["tokens"] for r in chosen)
        seconds = sum(r["seconds"] for r in chosen)
        drafted = sum(r["drafted"] for r in chosen)
        table.append({"draft_length": length, "prompts": len(chosen), "tokens": tokens,
                      "ms_per_token": 1000 * seconds / tokens, "tokens_per_second": tokens / seconds,
                      "accepted_share": sum(r["accepted"] for r in chosen) / max(1, drafted)})
    return table


def report(results, lengths):
    plain = [r["tokens_per_second"] for r in results.data["plain"]]
    speed = statistics.median(plain) if plain else None
    print(f"\n{'program':<36}{'prompts':>8}{'ms/token':>10}{'tok/s':>8}{'accepted':>10}{'vs plain':>10}")
    if speed:
        print(f"{'llama-bench (target alone)':<36}{'':>8}{1000 / speed:>10.1f}{speed:>8.2f}{'':>10}{1:>9.2f}x")
    table = summary(results, lengths)
    best = min(table, key=lambda r: r["ms_per_token"], default=None)
    for row in table:
        name = f"llama-speculative-simple, draft {row['draft_length']}" + (" *" if row is best else "")
        against = f"{row['tokens_per_second'] / speed:.2f}x" if speed else ""
        print(f"{name:<36}{row['prompts']:>8}{row['ms_per_token']:>10.1f}{row['tokens_per_second']:>8.2f}"
              f"{100 * row['accepted_share']:>9.1f}%{against:>10}")
    if best:
        print("* the best draft length over all prompts")
    results.data["summary"] = {"plain_tokens_per_second": speed, "speculative": table,
                               "best_draft_length": best and best["draft_length"]}
    results.save()


def main():
    # SIGTERM ends it as Ctrl-C does: the child is stopped, what is measured is kept.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = arguments()
    prompts = read_prompts(options.prompts, options.limit)
    setting = {"target": os.path.basename(options.target), "draft": os.path.basename(options.draft),
               "tokens": options.tokens, "cpu": options.cpu, "patched": options.patched, "raw": options.raw,
               "system": options.system, "draft_lengths": options.lengths, "prompts": [r["id"] for r in prompts]}
    results = Results(options.json, setting)
    status = 0
    try:
        folder = build(options.patched)
        pin = pinned(options.cpu)
        total = len(prompts) * len(options.lengths)
        results.add("plain", run_plain(folder, options, pin))
        for index, record in enumerate(prompts):
            if index == len(prompts) // 2 > 0:
                results.add("plain", run_plain(folder, options, pin))
            turn = index % len(options.lengths)
            for length in options.lengths[turn:] + options.lengths[:turn]:
                if results.find(record["id"], length):
                    continue
                row = run_speculative(folder, options, pin, record, length)
                results.add("speculative", row)
                print(f"{len(results.data['speculative'])}/{total}  {record['id']}, draft {length}: "
                      f"{1000 * row['seconds'] / max(1, row['tokens']):.1f} ms/token", flush=True)
        results.add("plain", run_plain(folder, options, pin))
    except KeyboardInterrupt:
        print("\ninterrupted; " + ("run it again with the same --json to continue" if options.json
                                   else "with --json FILE it could continue"), file=sys.stderr)
        status = 130
    finally:
        Child.stop()
    report(results, options.lengths)
    sys.exit(status)


if __name__ == "__main__":
    main()
