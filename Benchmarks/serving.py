"""What the programs around `wanspec serve` share: processes with a log each, an HTTP client that reads streams
as they come, and the reading of figures. Standard library only.
"""
from __future__ import annotations

import asyncio
import atexit
import json
import math
import os
import pathlib
import re
import resource
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time

# Of one body or one event of a stream; a server that sends more is at fault.
BODY_LIMIT = 64 << 20
LINE_LIMIT = 1 << 16


class Failure(Exception):
    """Ends the program with this message."""


def free_port():
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def resident_bytes(pid):
    """Resident memory of a process; 0 when it is gone."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    if not os.path.isdir("/proc/self"):
        result = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], stdout=subprocess.PIPE, text=True)
        return int(result.stdout.strip() or 0) * 1024
    return 0


def cpu_seconds(pid):
    """Processor time of a process so far, all threads; None where the system does not say."""
    try:
        # The name in the second field may hold spaces and brackets.
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Process:
    """A program with its output in a log file, which is read while it grows."""

    def __init__(self, name, command, log):
        self.name, self.command, self.log = name, [str(part) for part in command], log
        self.offset, self.partial = 0, b""
        with open(log, "ab") as output:
            self.offset = output.tell()
            try:
                # In a session of its own: Ctrl-C is for this program, which ends the others in order. Standard input
                # stays open as long as this program lives, by which --exit-with-parent tells.
                self.popen = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=output,
                                              stderr=subprocess.STDOUT, start_new_session=True)
            except OSError as error:
                raise Failure(f"cannot start {name}: {self.command[0]}: {error.strerror}") from None
        self.pid = self.popen.pid

    @property
    def alive(self):
        return self.popen.poll() is None

    @property
    def resident(self):
        return resident_bytes(self.pid) if self.alive else 0

    def new_lines(self):
        with open(self.log, "rb") as log:
            log.seek(self.offset)
            data = log.read()
        self.offset += len(data)
        *lines, self.partial = (self.partial + data).split(b"\n")
        return [line.decode("utf-8", "replace") for line in lines]

    def tail(self, count=8):
        text = pathlib.Path(self.log).read_bytes()[-4000:].decode("utf-8", "replace")
        return "\n".join(text.strip().splitlines()[-count:])

    async def event(self, name, seconds=60):
        """The next JSON line with this "event"."""
        end = time.monotonic() + seconds
        while True:
            gone = not self.alive
            for line in self.new_lines():
                try:
                    event = json.loads(line)
                except ValueError:
                    continue
                if isinstance(event, dict) and event.get("event") == name:
                    return event
            if gone:
                raise Failure(f"{self.name} ended with {self.popen.returncode}:\n{self.tail()}")
            if time.monotonic() > end:
                raise Failure(f"{self.name} did not say \"{name}\" within {seconds:g} s:\n{self.tail()}")
            await asyncio.sleep(0.05)

    async def ready(self, port, seconds=180, paths=("/health/ready", "/health")):
        """Waits until one of the paths answers 200."""
        end = time.monotonic() + seconds
        while True:
            if not self.alive:
                raise Failure(f"{self.name} ended with {self.popen.returncode}:\n{self.tail()}")
            for path in paths:
                try:
                    async with Connection("127.0.0.1", port) as connection:
                        if (await connection.request("GET", path, timeout=5)).status == 200:
                            return
                except (OSError, EOFError, Failure, asyncio.TimeoutError):
                    pass
            if time.monotonic() > end:
                raise Failure(f"{self.name} was not ready within {seconds:g} s:\n{self.tail()}")
            await asyncio.sleep(0.1)

    def signal(self, number):
        if self.alive:
            self.popen.send_signal(number)

    async def stop(self, seconds=20.0):
        """SIGTERM, and SIGKILL when that does not end it in time; the exit code."""
        for number in (signal.SIGTERM, signal.SIGCONT):
            self.signal(number)
        end = time.monotonic() + seconds
        while self.alive and time.monotonic() < end:
            await asyncio.sleep(0.02)
        self.kill()
        return self.popen.returncode

    def kill(self):
        if self.alive:
            self.popen.kill()
        self.popen.wait()
        self.popen.stdin.close()


class Processes:
    """All programs that were started, ended together and in reverse order."""

    def __init__(self, logs=None):
        self.folder = pathlib.Path(logs) if logs else pathlib.Path(tempfile.mkdtemp(prefix="wanspec-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.all = []
        atexit.register(self.kill)

    def start(self, name, command):
        process = Process(name, command, self.folder / f"{re.sub('[^A-Za-z0-9.-]', '-', name)}.log")
        self.all.append(process)
        return process

    async def stop(self):
        while self.all:
            await self.all.pop().stop()

    def kill(self):
        for process in self.all:
            process.kill()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        try:
            await self.stop()
        finally:
            self.kill()


async def remote_worker(processes, program, workers_port, draft, rtt, cpus, pin=(), label="", arguments=()):
    """Starts a worker that drafts for a server from across an emulated link, and waits until it is attached."""
    link = processes.start(f"{label}link", [
        *pin, program, "link", "--listen", "127.0.0.1:0", "--connect", f"127.0.0.1:{workers_port}", "--rtt", rtt,
        "--json", "--exit-with-parent"])
    near = (await link.event("ready"))["port"]
    worker = processes.start(f"{label}worker", [
        *pin, program, "worker", "--connect", f"127.0.0.1:{near}", "--draft", draft, "--cpus", cpus, "--nice", "idle",
        "--json", "--exit-with-parent", *arguments])
    await worker.event("connected", 120)
    return worker


class Response:
    def __init__(self, status, headers, body=b""):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            raise Failure(f"not JSON: {self.body[:200]!r}") from None


class Refused(Exception):
    """An answer other than 200."""

    def __init__(self, response):
        super().__init__(f"{response.status}: {response.body[:300].decode('utf-8', 'replace')}")
        self.status, self.headers = response.status, response.headers


class Connection:
    """One HTTP/1.1 connection: opened when it is needed, kept while the server keeps it."""

    def __init__(self, host, port, key=None):
        self.host, self.port, self.key = host, port, key
        self.reader = self.writer = None

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.close()

    async def open(self):
        if self.writer is not None:
            # Some servers end a connection right after an answer without having said so.
            await asyncio.sleep(0.001)
            if self.reader.at_eof():
                await self.close()
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection(self.host, self.port, limit=LINE_LIMIT)

    def abort(self):
        """Leaves without a word, as a client that crashed."""
        if self.writer is not None:
            self.writer.transport.abort()
        self.reader = self.writer = None

    async def close(self):
        writer, self.reader, self.writer = self.writer, None, None
        if writer is not None:
            writer.close()
            try:
                await writer.wait_closed()
            except OSError:
                pass

    def head(self, method, path, length, headers):
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}:{self.port}", *(f"{k}: {v}" for k, v in headers)]
        if self.key:
            lines.append(f"Authorization: Bearer {self.key}")
        if length is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {length}"]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    async def send(self, method, path, body=None, headers=()):
        """Writes a request; `body` is an object, bytes, or None. Returns the time at which it was written."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        await self.open()
        self.writer.write(self.head(method, path, None if data is None else len(data), headers) + (data or b""))
        await self.writer.drain()
        return time.monotonic()

    async def line(self):
        try:
            return (await self.reader.readuntil(b"\n")).decode("latin-1").strip()
        except asyncio.LimitOverrunError:
            raise Failure(f"an answer with a line of more than {LINE_LIMIT} bytes") from None

    async def read_head(self):
        while True:
            line = (await self.line()).split()
            if len(line) < 2 or not line[0].startswith("HTTP/1.") or not line[1].isdigit():
                raise Failure(f"not an HTTP answer: {line[:3]}")
            headers = {}
            while True:
                text = await self.line()
                if not text:
                    break
                name, _, value = text.partition(":")
                headers[name.strip().lower()] = value.strip()
            if int(line[1]) >= 200:  # what comes before 200 is not the answer yet
                return Response(int(line[1]), headers)

    async def read_parts(self, response, head_only=False):
        """The body as it comes; afterwards the connection is ready for the next request, or closed."""
        headers = response.headers
        total = 0
        if head_only or response.status in (204, 304):
            pass
        elif "chunked" in headers.get("transfer-encoding", "").lower():
            while True:
                line = await self.line()
                try:
                    size = int(line.split(";")[0], 16)
                except ValueError:
                    raise Failure(f"not the size of a chunk: {line[:40]!r}") from None
                total += size
                if total > BODY_LIMIT:
                    raise Failure(f"an answer larger than {BODY_LIMIT} bytes")
                data = await self.reader.readexactly(size) if size else b""
                while await self.line() and not size:
                    pass  # trailers
                if not size:
                    break
                yield data
        elif "content-length" in headers:
            left = int(headers["content-length"])
            if left > BODY_LIMIT:
                raise Failure(f"an answer larger than {BODY_LIMIT} bytes")
            while left:
                data = await self.reader.read(min(left, 1 << 16))
                if not data:
                    raise EOFError("the connection ended within an answer")
                left -= len(data)
                yield data
        else:
            while True:
                data = await self.reader.read(1 << 16)
                if not data:
                    break
                yield data
            await self.close()
        if headers.get("connection", "").lower() == "close":
            await self.close()

    async def read_response(self, head_only=False):
        response = await self.read_head()
        response.body = b"".join([part async for part in self.read_parts(response, head_only)])
        return response

    async def request(self, method, path, body=None, headers=(), timeout=600):
        """One request and its whole answer. Never sent twice: a request that a server drops has to show."""
        return await asyncio.wait_for(self.exchange(method, path, body, headers), timeout)

    async def exchange(self, method, path, body, headers):
        try:
            await self.send(method, path, body, headers)
            return await self.read_response(method == "HEAD")
        except BaseException:
            self.abort()  # in the middle of an answer, it is good for nothing else
            raise

    async def events(self, path, body, headers=()):
        """The `data:` lines of a stream, parsed, each with the time of its arrival. Ends after [DONE]."""
        finished = False
        try:
            await self.send("POST", path, body, headers)
            response = await self.read_head()
            if response.status != 200:
                response.body = b"".join([part async for part in self.read_parts(response)])
                finished = True
                raise Refused(response)
            rest, done = b"", False
            async for part in self.read_parts(response):
                now = time.monotonic()
                *lines, rest = (rest + part).split(b"\n")
                for line in lines:
                    if not line.startswith(b"data:") or done:
                        continue
                    data = line[5:].strip()
                    if data == b"[DONE]":
                        done = True
                        continue
                    yield now, json.loads(data)
            finished = True
            if not done:
                raise EOFError("the stream ended without [DONE]")
        finally:
            if not finished:
                self.abort()


class Answer:
    """What came back for one request: the texts of its choices and when their pieces came.

    `pieces` are the tokens one by one, where log-probabilities were asked for.
    """

    def __init__(self):
        self.texts, self.reasons, self.pieces, self.times = {}, {}, {}, []
        self.tokens = self.prompt_tokens = 0
        self.timings, self.sent = {}, time.monotonic()

    @property
    def first(self):
        """Seconds from the request to its first text; the end for an answer without text."""
        return (self.times[0] if self.times else self.ended) - self.sent

    def take(self, event):
        """Adds an event of a stream or a whole answer; whether it brought text."""
        if "error" in event:
            raise Failure(f"an error within a stream: {json.dumps(event['error'])[:300]}")
        brought = False
        for choice in event.get("choices") or []:
            index = choice.get("index", 0)
            part = choice.get("delta") or choice.get("message") or choice
            piece = part.get("content") or part.get("text") or ""
            self.texts[index] = self.texts.get(index, "") + piece
            brought = brought or bool(piece)
            for entry in (choice.get("logprobs") or {}).get("content") or []:
                self.pieces.setdefault(index, []).append(entry.get("bytes") or entry.get("token"))
            if choice.get("finish_reason"):
                self.reasons[index] = choice["finish_reason"]
        usage = event.get("usage") or {}
        self.tokens = usage.get("completion_tokens", self.tokens)
        self.prompt_tokens = usage.get("prompt_tokens", self.prompt_tokens)
        self.timings = event.get("timings") or self.timings
        return brought


async def complete(connection, path, body, on_piece=None):
    """Sends a completion request, streamed if it says so, and collects the answer."""
    answer = Answer()
    if body.get("stream"):
        await connection.open()
        answer.sent = time.monotonic()
        events = connection.events(path, body)
        try:
            async for now, event in events:
                if answer.take(event):
                    answer.times.append(now)
                    if on_piece:
                        on_piece(answer)
        finally:
            await events.aclose()
        answer.ended = time.monotonic()
    else:
        await connection.open()
        answer.sent = time.monotonic()
        response = await connection.request("POST", path, body)
        answer.ended = time.monotonic()
        if response.status != 200:
            raise Refused(response)
        if answer.take(response.json()):
            answer.times.append(answer.ended)
    return answer


async def model_name(port):
    """The name that the server gives its model."""
    async with Connection("127.0.0.1", port) as connection:
        models = (await connection.request("GET", "/v1/models")).json().get("data") or []
    return models[0]["id"] if models else "default"


SAMPLE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)")


async def metrics(port):
    """Every sample of /metrics by name, summed over labels."""
    async with Connection("127.0.0.1", port) as connection:
        response = await connection.request("GET", "/metrics")
    if response.status != 200:
        raise Failure(f"/metrics answers {response.status}")
    sums = {}
    for line in response.body.decode("utf-8", "replace").splitlines():
        match = SAMPLE.match(line)
        if match:
            try:
                sums[match[1]] = sums.get(match[1], 0.0) + float(match[3])
            except ValueError:
                pass
    return sums


def percentile(values, share):
    """The value that `share` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


def filled(template, **values):
    """A command line of the user with {port} and the like put in, as a list."""
    try:
        return shlex.split(template.format(**{key: shlex.quote(str(value)) for key, value in values.items()}))
    except (KeyError, IndexError, ValueError) as error:
        raise Failure(f"{template}: {error!r} is not known; there are {', '.join(sorted(values))}") from None


def open_file_limit(wanted):
    """Raises this process' limit of open files as far as is allowed; what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


def run(main):
    """Runs the program's coroutine; SIGINT and SIGTERM end it in order. Exits with what it returns."""

    async def caught():
        try:
            return await main()
        except SystemExit as end:  # would otherwise tear the loop down before anything is cleaned up
            return end

    async def guarded():
        task = asyncio.ensure_future(caught())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            print("\ninterrupted", file=sys.stderr)
            return 130

    try:
        status = asyncio.run(guarded())
    except Failure as failure:
        print(f"error: {failure}", file=sys.stderr)
        status = 1
    if isinstance(status, SystemExit):
        raise status
    sys.exit(status or 0)
