"""The stage of chaos-serve: the server, workers behind links, and what is done to them. Standard library only."""
from __future__ import annotations

import asyncio
import os
import pathlib
import signal

import hostile
from serving import filled, free_port, model_name

# The names that chaos-serve explains; one that is here twice happens twice as often.
FAULTS = ["kill", "kill", "freeze", "cut", "partition", "drain", "garbage"]


class Worker:
    """A worker behind a link of its own; one fault at a time."""

    def __init__(self, stage, number):
        self.stage, self.number = stage, number
        self.draft = stage.drafts[number % len(stage.drafts)]
        self.port = free_port()
        self.process = self.link = None
        self.busy = False

    def start_link(self):
        options = self.stage.options
        self.link = self.stage.processes.start(f"link {self.number}", [
            options.program, "link", "--listen", f"127.0.0.1:{self.port}", "--connect",
            f"127.0.0.1:{self.stage.workers_port}", "--rtt", options.rtt, "--json", "--exit-with-parent"])

    def start_worker(self):
        self.process = self.stage.processes.start(f"worker {self.number}", [
            self.stage.options.program, "worker", "--connect", f"127.0.0.1:{self.port}", "--draft", self.draft,
            "--name", f"worker-{self.number}", "--site", f"site-{self.number}", "--threads", "1", "--nice", "idle",
            "--json", "--exit-with-parent"])

    async def start(self):
        self.start_link()
        await self.link.event("ready")
        self.start_worker()
        await self.process.event("connected" if self.stage.attaches else "ready", 120)

    def kill(self, process):
        process.kill()
        self.stage.processes.all.remove(process)

    async def fault(self, kind, seconds, problems):
        self.busy = True
        try:
            if kind == "kill":
                self.kill(self.process)
                await asyncio.sleep(seconds)
                self.start_worker()
            elif kind == "cut":
                self.kill(self.link)
                await asyncio.sleep(seconds)
                self.start_link()
            elif kind in ("freeze", "partition"):
                process = self.process if kind == "freeze" else self.link
                process.signal(signal.SIGSTOP)
                try:
                    await asyncio.sleep(seconds)
                finally:
                    process.signal(signal.SIGCONT)
            elif kind == "drain":
                process = self.process
                status = await process.stop(30)
                self.stage.processes.all.remove(process)
                if status != 0:
                    problems.append(f"worker {self.number} ended with {status} after SIGTERM:\n{process.tail()}")
                await asyncio.sleep(seconds)
                self.start_worker()
            if kind in ("kill", "drain"):
                # While it loads its model, SIGTERM would just end it.
                await self.process.event("ready", 120)
        finally:
            self.busy = False


class Stage:
    """The server and its workers."""

    def __init__(self, options, processes, target, drafts):
        self.options, self.processes, self.target, self.drafts = options, processes, target, drafts
        self.port, self.workers_port = free_port(), free_port()
        self.attaches = not options.serve_command
        self.workers = []

    async def start_server(self):
        options = self.options
        if options.serve_command:
            command = filled(options.serve_command, port=self.port, workers_port=self.workers_port,
                             target=self.target, sessions=options.sessions, context=options.context)
        else:
            command = [options.program, "serve", "--target", self.target, "--host", "127.0.0.1", "--port", self.port,
                       "--listen", f"127.0.0.1:{self.workers_port}", "--context", options.context, "--sessions",
                       options.sessions, "--threads", options.threads, "--speculation", "auto", "--json-logs",
                       "--cache-type", options.cache_type,
                       *(["--cache-tokens", options.cache_tokens] if options.cache_tokens else []),
                       *options.serve_arguments.split()]
        self.server = self.processes.start("serve", command)
        await self.server.ready(self.port)
        self.model = await model_name(self.port)

    async def start_workers(self):
        self.workers = [Worker(self, number) for number in range(self.options.workers)]
        await asyncio.gather(*(worker.start() for worker in self.workers))

    def body(self, body, stream, speculation=None):
        whole = {"model": self.model, **body}
        if stream:
            whole.update(stream=True, stream_options={"include_usage": True})
        if speculation:
            whole["speculation"] = {"mode": speculation}
        return whole


async def cause_faults(stage, rng, counts, problems):
    """Until it is cancelled; then all workers are whole again."""
    repairs = set()
    try:
        while True:
            await asyncio.sleep(stage.options.fault_every * rng.uniform(0.5, 1.5))
            kind, seconds, place = rng.choice(FAULTS), rng.uniform(0.5, 5), rng.randrange(len(stage.workers))
            whole = [worker for worker in stage.workers if not worker.busy]
            if kind == "garbage" or not whole:
                kind = "garbage"
                repair = write_garbage(stage, hostile.worker_bytes(rng))
            else:
                repair = whole[place % len(whole)].fault(kind, seconds, problems)
            counts[kind] = counts.get(kind, 0) + 1
            task = asyncio.ensure_future(repair)
            repairs.add(task)
            task.add_done_callback(repairs.discard)
    finally:
        if repairs:
            await asyncio.gather(*repairs)


async def write_garbage(stage, data):
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.workers_port)
    except OSError:
        return
    try:
        writer.write(data)
        await writer.drain()
        await asyncio.wait_for(reader.read(1 << 16), 2)
    except (OSError, asyncio.TimeoutError):
        pass
    finally:
        writer.transport.abort()


def left_over(markers):
    """Processes whose command line has one of our ports."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        except OSError:
            continue
        if int(folder.name) != os.getpid() and any(marker in command for marker in markers):
            found.append(f"{folder.name}: {' '.join(command)[:120]}")
    return found
