"""Two programs side by side: both alive, turn by turn, in blocks A B B A.

A side is a process that, once warm, prints one JSON line with `"ready": true` and facts about itself, then for each line `N` on its
input does N steps and answers with `{"steps": N, "seconds": s}`. `lockstep bench step --serve` and `peer/step_peer.py` are such.
While one works the other waits on its pipe. Clocks, temperature and neighbours drift; the order A B B A takes a linear drift
out of each round's ratio, and the median over rounds takes out a hiccup.
"""
import json
import math
import queue
import subprocess
import threading
import time

from stage import Failed, end_session, summary


class Side:
    """A served process. `samples`: of one step, for rates."""

    def __init__(self, job, name, command, samples, environment=None):
        self.name, self.command, self.samples, self._job = name, [str(part) for part in command], samples, job
        self.facts = {}
        self._lines, self._errors = queue.Queue(), []
        job.log.write(f"  $ {' '.join(self.command)}\n")
        self._process = subprocess.Popen(self.command, cwd=job.folder, env=job.places.environment(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE, text=True, errors="replace", bufsize=1, start_new_session=True)
        self._threads = [threading.Thread(target=self._read, args=pair, daemon=True) for pair in
                         ((self._process.stdout, self._lines.put), (self._process.stderr, self._errors.append))]
        for thread in self._threads:
            thread.start()

    def _read(self, stream, take):
        for line in stream:
            take(line.rstrip("\n"))
        take(None)

    def _answer(self, seconds, wanted):
        """The next line that is a JSON object with the key `wanted`; other lines are kept for the log."""
        end = time.monotonic() + seconds
        said = []
        while True:
            try:
                line = self._lines.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                raise self._failed(f"{self.name}: no answer within {seconds:.0f} s", said) from None
            if line is None:
                code = self._process.wait()
                raise self._failed(f"{self.name}: ended with {code} where an answer was expected", said)
            if line.startswith("{"):
                try:
                    answer = json.loads(line)
                except ValueError:
                    answer = {}
                if wanted in answer:
                    return answer
            said.append(line)
            self._job.log.write(f"    {line}\n")

    def _failed(self, what, said):
        time.sleep(0.2)  # what it said last is on its way
        errors = [line for line in self._errors if line is not None]
        self._job.log.write("".join(f"    {line}\n" for line in errors[-100:]))
        return Failed(what, "\n".join([*said, *errors]))

    def ready(self, seconds):
        start = time.monotonic()
        self.facts = self._answer(min(seconds, self._job.left()), "ready")
        self.facts.pop("ready")
        self.facts["seconds_until_ready"] = round(time.monotonic() - start, 3)
        return self

    def steps(self, count, limit=120.0):
        """Seconds a step over a block of so many."""
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        answer = self._answer(min(limit, self._job.left()), "seconds")
        if answer.get("steps") != count or not answer["seconds"] > 0:
            raise self._failed(f"{self.name}: asked for {count} steps, the answer was {answer}", [])
        return answer["seconds"] / count

    def block_steps(self, seconds, probe=3):
        """How many steps fill a block."""
        return max(1, math.ceil(seconds / min(self.steps(probe), self.steps(probe))))

    def close(self):
        try:
            self._process.stdin.close()
            self._process.wait(20)
        except (OSError, subprocess.TimeoutExpired):
            pass
        end_session(self._process)
        for thread in self._threads:
            thread.join()
        self._process.stdout.close()
        self._process.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def record(self, blocks):
        """What is kept of this side: `blocks` are seconds a step."""
        return {"command": self.command, "facts": self.facts, "samples_a_step": self.samples, "step_ms": summary([1e3 * s for s in blocks], "ms"),
                "samples_a_second": summary([self.samples / s for s in blocks], "1/s")}


def compare(ours, peer, rounds=5, block_seconds=2.0):
    """The record of a comparison: how many times as fast as `peer` `ours` does a sample. Rounds have blocks peer, ours, ours, peer."""
    counts = {side: side.block_steps(block_seconds) for side in (ours, peer)}
    blocks, ratios = {ours: [], peer: []}, []
    for _ in range(rounds):
        for side in (peer, ours, ours, peer):
            blocks[side].append(side.steps(counts[side]))
        ratios.append((sum(blocks[peer][-2:]) / peer.samples) / (sum(blocks[ours][-2:]) / ours.samples))
    return {"ratio": summary(ratios, "peer's time / ours"), "ours": ours.record(blocks[ours]), "peer": peer.record(blocks[peer]),
            "protocol": f"both alive, {rounds} rounds of blocks B A A B of {counts[ours]} and {counts[peer]} steps (>= {block_seconds:g} s each)"}
